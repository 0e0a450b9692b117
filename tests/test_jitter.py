"""The buffer between sound that comes when it comes and frames that are due: late, early, drifting,
too much.
"""

import numpy as np
import pytest

from personaplex_app.engine.jitter import LOUD_FRAMES, MAX_SAMPLES, TRIM_AFTER_STEPS, JitterBuffer
from personaplex_app.units import FRAME_S, FRAME_SAMPLES

pytestmark = pytest.mark.unit

LOUD = 0.5 * np.ones(FRAME_SAMPLES, np.float32)
QUIET = np.zeros(FRAME_SAMPLES, np.float32)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def run(buffer, clock, steps, sound=QUIET, per_step=1.0):
    """Take a frame every 80 ms; before each one `per_step` frames are written."""
    written = 0.0
    for _ in range(steps):
        clock.now_s += FRAME_S
        written += per_step * FRAME_SAMPLES
        piece = np.resize(sound, int(written))
        written -= len(piece)
        buffer.write(piece)
        buffer.take(0.0)


def test_jitter_steady_sound_is_given_out_as_it_came():
    clock = Clock()
    buffer = JitterBuffer(now=clock)
    frames = [np.full(FRAME_SAMPLES, k / 100, np.float32) for k in range(100)]
    for frame in frames:
        clock.now_s += FRAME_S
        buffer.write(frame)
        assert np.array_equal(buffer.take(0.0).sound, frame)
    assert (buffer.late_frames, buffer.trimmed_samples, buffer.held_samples) == (0, 0, 0)


def test_jitter_late_sound_is_silence_and_counted_and_nothing_before_the_first():
    buffer = JitterBuffer()
    assert buffer.take(0.0).silent
    assert buffer.late_frames == 0
    buffer.write(LOUD)
    assert not buffer.take(0.0).silent
    buffer.write(LOUD[:1000])
    late = buffer.take(0.0)
    assert (late.silent, float(np.abs(late.sound).max()), buffer.late_frames) == (True, 0.0, 1)
    buffer.write(LOUD[:920])
    assert np.array_equal(buffer.take(0.0).sound, LOUD)


@pytest.mark.parametrize(
    ("sound", "spare", "left"),
    [(QUIET, 2, 0), (LOUD, LOUD_FRAMES - 1, LOUD_FRAMES - 1), (LOUD, LOUD_FRAMES, 0)],
)
def test_jitter_spare_sound_is_cut_after_a_calm_time_at_once_only_where_it_is_quiet_or_too_much(
    sound, spare, left
):
    clock = Clock()
    buffer = JitterBuffer(now=clock)
    for _ in range(spare):
        buffer.write(sound)
    run(buffer, clock, TRIM_AFTER_STEPS[0], sound)
    assert buffer.held_samples == spare * FRAME_SAMPLES
    run(buffer, clock, TRIM_AFTER_STEPS[0] // 2, sound)
    assert buffer.held_samples == left * FRAME_SAMPLES
    assert buffer.trimmed_samples == (spare - left) * FRAME_SAMPLES
    assert buffer.late_frames == 0


def test_jitter_a_cut_has_no_click():
    clock = Clock()
    buffer = JitterBuffer(now=clock)
    rising = np.linspace(-1, 1, 400 * FRAME_SAMPLES, dtype=np.float32)
    buffer.write(rising[: MAX_SAMPLES // 2])
    buffer.write(rising[-MAX_SAMPLES:])
    sound = np.concatenate([buffer.take(0.0).sound for _ in range(30)])
    assert buffer.trimmed_samples == MAX_SAMPLES // 2
    assert np.abs(np.diff(sound)).max() < 0.02


@pytest.mark.parametrize(("after_s", "trimmed"), [(0.07, 0), (0.05, FRAME_SAMPLES)])
def test_jitter_what_comes_within_a_steps_patience_makes_what_lies_there_spare(after_s, trimmed):
    clock = Clock()
    buffer = JitterBuffer(now=clock)
    buffer.write(QUIET)
    for _ in range(3 * TRIM_AFTER_STEPS[0]):
        buffer.take(0.06)
        if buffer.trimmed_samples:
            break
        clock.now_s += after_s
        buffer.write(QUIET)
        clock.now_s += FRAME_S - after_s
    assert buffer.trimmed_samples == trimmed
    assert trimmed or not buffer.late_frames


def test_jitter_a_frame_missed_after_a_cut_makes_the_calm_time_longer():
    clock = Clock()
    buffer = JitterBuffer(now=clock)
    for calm_steps in (TRIM_AFTER_STEPS[0], 2 * TRIM_AFTER_STEPS[0], 4 * TRIM_AFTER_STEPS[0]):
        run(buffer, clock, 1)
        assert buffer.take(0.0).silent
        buffer.write(QUIET)
        run(buffer, clock, calm_steps)
        assert buffer.held_samples == FRAME_SAMPLES
        run(buffer, clock, 2)
        assert buffer.held_samples == 0
    # a long time in which all was needed, and the calm time is what it was
    run(buffer, clock, 8 * TRIM_AFTER_STEPS[0])
    assert buffer.take(0.0).silent
    buffer.write(QUIET)
    run(buffer, clock, TRIM_AFTER_STEPS[0] + 2)
    assert buffer.held_samples == 0


@pytest.mark.parametrize("per_step", [1.02, 0.98])
def test_jitter_a_drifting_sender_neither_fills_the_buffer_nor_delays_more_and_more(per_step):
    clock = Clock()
    buffer = JitterBuffer(now=clock)
    held = []
    for _ in range(50):
        run(buffer, clock, 100, LOUD, per_step)
        held.append(buffer.held_samples)
    assert max(held) <= (TRIM_AFTER_STEPS[1] * 0.02 + LOUD_FRAMES + 2) * FRAME_SAMPLES
    assert np.mean(held[-10:]) <= np.mean(held[:10]) + 2 * FRAME_SAMPLES
    assert bool(buffer.trimmed_samples) == (per_step > 1)
    assert bool(buffer.late_frames) == (per_step < 1)


def test_jitter_more_than_its_limit_pushes_out_the_oldest():
    buffer = JitterBuffer()
    for k in range(100):
        buffer.write(np.full(FRAME_SAMPLES, k / 100, np.float32))
        buffer.write_text("x")
    assert buffer.held_samples == MAX_SAMPLES
    assert buffer.take(0.0).sound[-1] > 0.5


def test_jitter_text_comes_with_the_frame_after_its_sound_whichever_was_first():
    buffer = JitterBuffer()
    buffer.write(QUIET)
    buffer.write_text(" Good")
    buffer.write(QUIET)
    buffer.write_text(" day")
    buffer.write(QUIET)
    assert [buffer.take(0.0).text for _ in range(4)] == ["", " Good", " day", ""]


def test_jitter_that_waits_for_everything_trims_nothing():
    clock = Clock()
    buffer = JitterBuffer(trim=False, now=clock)
    for _ in range(5):
        buffer.write(QUIET)
    run(buffer, clock, 500)
    assert (buffer.held_samples, buffer.trimmed_samples) == (5 * FRAME_SAMPLES, 0)
