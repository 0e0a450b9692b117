"""Full-Duplex-Bench: its metrics, other people's outputs read and checked, and their scores."""

TASK_NAMES: tuple[str, ...] = (
    "pause_handling",
    "smooth_turn_taking",
    "user_interruption",
    "backchannel",
    "timing",
)
