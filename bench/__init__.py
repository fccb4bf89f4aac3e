"""Benchmarks: run any of them with `python -m bench.NAME`."""
