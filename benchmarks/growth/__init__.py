"""How time and memory of every stage grow with the size of the data."""
