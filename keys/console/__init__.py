"""The console's pages of what a vertex owns: looked at here, changed by services only."""
