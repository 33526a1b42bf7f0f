"""The page of figures about deployments over time."""
