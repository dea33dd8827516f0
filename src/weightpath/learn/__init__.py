"""Learning: exact losses and velocities, the continuous flow of the weights, and training in discrete steps."""
