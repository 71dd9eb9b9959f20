"""The shapes of requests and answers. JSON types are taken as they are: a string is no number, a number no string."""
