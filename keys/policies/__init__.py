"""Policies: what a key's and its user's rules say to a call before anything of it begins."""
