"""What a GPU takes for the released 7B shapes with random weights: `python -m benchmarks.accelerator`."""
