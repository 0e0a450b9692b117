"""Visitors' turns in twelve roles, and a judge by rules of what an agent replies to them."""
