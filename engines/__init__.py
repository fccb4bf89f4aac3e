"""Inference engines: tensors in, probabilities out. The first engine arrives with `forge train`."""
