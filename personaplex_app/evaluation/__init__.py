"""Conversations held with an engine and measured, and the report of them."""
