"""Kernels for NVIDIA GPUs: CUDA sources, and what launches them.

Nothing here imports CuPy before a `CupyDevice` is made.
"""
