"""Array kernels: NumPy arrays in, NumPy arrays out. No files, no tensors, no users."""
