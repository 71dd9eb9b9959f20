"""The cryptography of Vertex: pure functions and generators, without I/O, clock or hidden randomness."""
