"""The embedded engine: voice activity, recognition, a responder and synthesis, all local, on a plain CPU."""
