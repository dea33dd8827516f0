"""Tasks: what a network is asked to do, as sampled batches and, where one exists, as an exact population target."""
