"""Inference engines: pictures as arrays in, logits out. Each file brings what its name says."""
