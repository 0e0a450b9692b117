"""Cloned voices: the speech picked from a recording, and whose voices they are."""
