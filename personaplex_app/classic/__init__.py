"""The embedded engine: a cascade of voice activity detection, recognition, responder and synthesis."""
