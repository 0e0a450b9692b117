"""Units of time that all modules share: a frame is 1920 samples at 24 kHz, which is 80 ms."""

SAMPLE_RATE_HZ = 24_000
FRAME_SAMPLES = 1_920
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
FRAME_MS = 80


def frames_to_s(frames: int) -> float:
    """Return the time at which frame number `frames` begins, in seconds."""
    return frames * FRAME_S


def s_to_frames(seconds: float) -> int:
    """Return how many whole frames cover `seconds`."""
    return -int(-seconds // FRAME_S)
