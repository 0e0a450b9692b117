"""Render an engine's answers to recorded questions, cache them on disk, and export them."""
