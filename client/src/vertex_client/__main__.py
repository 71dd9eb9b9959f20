"""`python -m vertex_client`."""

from vertex_client.cli import main

main()
