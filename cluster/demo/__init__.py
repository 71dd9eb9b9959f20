"""`make demo`: the life of a key between real vertices, each step checked."""
