"""Benchmarks on a GPU of the released 7B shapes with random weights: `python -m benchmarks.accelerator`."""
