"""Embedded servers, a relay and n vertices as real processes: what demo, bench and fault tests stand on."""
