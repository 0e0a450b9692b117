"""Hold scripted conversations with an engine, measure them, and report the results."""
