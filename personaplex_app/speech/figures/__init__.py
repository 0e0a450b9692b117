"""The kinds of figures in written English, and how each is said."""
