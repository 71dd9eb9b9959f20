"""Oblivious transfer between an ordered pair of parties: base OTs, expanded to punctured trees, extended per session.

Roles (cryptography.md, section 1): Alice holds the multiplication's inputs; she receives base OTs (choices) and sends
extended ones. Bob sends base OTs and receives extended ones.
"""
