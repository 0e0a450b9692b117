"""The blind listening test: its design, a listener's round, the votes, and the ranking of the voices."""
