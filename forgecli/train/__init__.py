"""Training of the learned detector: data, losses, the loop."""
