"""Learning rules: each returns a velocity of the weights, d(weights)/d(learning time)."""
