"""The learned detector: networks, losses, training, and from probabilities to instances."""
