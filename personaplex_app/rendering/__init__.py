"""Recorded questions answered by an engine: rendered, kept on disk, and written in the forms that people take
home.
"""
