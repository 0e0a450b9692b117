"""The blind test: which pairs a listener hears, what they choose, and how the voices rank by it."""
