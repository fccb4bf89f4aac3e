"""The GPU path of the batch job: decode in processes, everything else in streams of the GPU."""
