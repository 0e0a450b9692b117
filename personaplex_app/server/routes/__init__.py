"""The app's routes, one module a subject."""
