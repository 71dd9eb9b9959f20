"""FROST (RFC 9591) for Ed25519 and BIP340.

``suites`` are the ciphersuites, ``core`` the algebra of sections 4 and 5 of the RFC, ``keys`` the child or tweaked key
that a signature is for, ``signing`` the protocol of one party.
"""
