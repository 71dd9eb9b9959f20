"""Rooms through which the parties' messages travel: untrusted, sees ciphertext and headers only; Redis streams.

Vertices import `relay.client` and nothing else; the server is `uvicorn relay.asgi:application`.
"""
