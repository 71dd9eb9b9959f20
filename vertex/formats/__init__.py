"""How the console writes times: an event's second matters."""
