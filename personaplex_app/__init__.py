"""Talk with PersonaPlex-7B, compare its voices, and measure it."""

__version__ = "0.1.0"
