"""Scores of conversations: Full-Duplex-Bench's metrics, the checks before them, their intervals, and the ranking of a listening test."""

TASK_NAMES: tuple[str, ...] = ("pause_handling", "smooth_turn_taking", "user_interruption", "backchannel", "timing")
