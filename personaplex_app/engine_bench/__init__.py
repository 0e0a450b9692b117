"""Measure the PersonaPlex engine on random weights, next to the `moshi` package where it is installed."""
