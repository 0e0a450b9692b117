"""Cloned voices: select clean speech from a recording, and store voices for their owners."""
