"""How much of the log stays, and for how long: limits, sweeps, and what they must ask."""
