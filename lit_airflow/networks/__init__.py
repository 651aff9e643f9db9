"""The networks: one contract, and a package for each generation that speaks it."""
