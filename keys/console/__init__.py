"""The console's pages of people, tokens, shares and sessions: looked at here, changed by services only."""
