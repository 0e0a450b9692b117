"""A small language model in this process: its weights, their conversion, and the thread that runs it."""
