"""Measuring the PersonaPlex engine on random weights, beside the `moshi` package where it is installed."""
