"""Engines: everything that can hold up the other end of a conversation."""
