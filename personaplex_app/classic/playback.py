"""Play the agent's clips frame by frame: queueing, word times, ducking, and cuts that can be undone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from ..protocol_events import Word
from ..speech.synthesiser import SpeechClip
from ..units import FRAME_SAMPLES, SAMPLE_RATE_HZ

_DUCKED_GAIN = 10 ** (-12 / 20)
_OVERLAY_GAIN = 10 ** (-7 / 20)
# A cut takes effect at once: a fade of 20 ms against a click, and the rest of the frame silent.
_FADE_SAMPLES = 480
_AUDIBLE = 0.01
MAX_CLIPS = 2


@dataclass
class _Playing:
    clip: SpeechClip
    at_samples: int = 0
    next_word: int = 0


@dataclass
class Played:
    """One frame of the agent stream, and the words that begin in it, on the session's clock."""

    frame: np.ndarray
    started_words: list[Word] = field(default_factory=list)


class Playback:
    """The queue of the agent's clips: at most the one that plays and the next."""

    def __init__(self) -> None:
        self._clips: deque[_Playing] = deque()
        self._overlay: _Playing | None = None
        self._gain = 1.0
        self._ducked = False
        self._fading = False
        self._suspended = False
        self._dropped = False
        self.words: list[Word] = []

    @property
    def has_room(self) -> bool:
        return len(self._clips) < MAX_CLIPS

    @property
    def empty(self) -> bool:
        return not self._clips

    @property
    def is_sounding(self) -> bool:
        return self._overlay is not None or (bool(self._clips) and not self._suspended)

    @property
    def upcoming(self) -> list[str]:
        """The words of the present clip that have not begun yet."""
        return (
            [word.text for word in self._clips[0].clip.words[self._clips[0].next_word :]]
            if self._clips
            else []
        )

    def say(self, clip: SpeechClip) -> None:
        """Queue a clip after the present one."""
        self._clips.append(_Playing(clip))

    def play_over(self, clip: SpeechClip) -> None:
        """Play a short clip softly over everything else, such as a backchannel."""
        self._overlay = _Playing(clip)

    def duck(self, on: bool) -> None:
        """Play 12 dB softer, or at the normal level again."""
        self._ducked = on

    def cut(self) -> None:
        """Stop with the next frame and keep what was not played; `resume` repeats the word that was cut."""
        if not self._suspended:
            self._suspended = True
            self._fading = bool(self._clips)

    def resume(self) -> None:
        """Continue from the word that was cut."""
        self._suspended = self._fading = self._ducked = False
        # at once at full level: what follows is the beginning of a word, where a jump is not heard
        self._gain = 1.0

    def drop(self) -> None:
        """Discard what was not played and the words of what was; a cut still fades out first."""
        self.words = []
        # the fade needs the clip until the next frame
        self._dropped = True
        if not self._fading:
            self._clear()

    def _clear(self) -> None:
        self._clips.clear()
        self._dropped = False
        self.resume()

    def pull(self, now_s: float) -> Played:
        """Advance by one frame and return it; it begins at `now_s`.

        Shapes: `frame` is float32 [1920].
        """
        played = Played(np.zeros(FRAME_SAMPLES, np.float32))
        if self._fading:
            self._fade(played.frame)
        elif not self._suspended:
            self._fill(played, now_s)
        if self._overlay:
            self._mix_overlay(played.frame)
        np.clip(played.frame, -1.0, 1.0, out=played.frame)
        return played

    def _fill(self, played: Played, now_s: float) -> None:
        done = 0
        while self._clips and done < FRAME_SAMPLES:
            playing = self._clips[0]
            part = playing.clip.samples[playing.at_samples : playing.at_samples + FRAME_SAMPLES - done]
            played.frame[done : done + len(part)] = part
            played.started_words += _started_words(playing, len(part), now_s + done / SAMPLE_RATE_HZ)
            playing.at_samples += len(part)
            done += len(part)
            if playing.at_samples >= len(playing.clip.samples):
                self._clips.popleft()
        self.words += played.started_words
        # the gain changes over a whole frame, since a jump would click
        target = _DUCKED_GAIN if self._ducked else 1.0
        if target != 1.0 or self._gain != 1.0:
            played.frame *= np.linspace(self._gain, target, FRAME_SAMPLES, dtype=np.float32)
        self._gain = target

    def _fade(self, frame: np.ndarray) -> None:
        self._fading = False
        playing = self._clips[0]
        part = playing.clip.samples[playing.at_samples : playing.at_samples + _FADE_SAMPLES]
        frame[: len(part)] = part * np.linspace(self._gain, 0.0, _FADE_SAMPLES, dtype=np.float32)[: len(part)]
        # back to the beginning of the word that was cut, so that `resume` repeats it
        if playing.next_word:
            word = playing.clip.words[playing.next_word - 1]
            if word.end_s * SAMPLE_RATE_HZ > playing.at_samples:
                playing.at_samples = int(word.start_s * SAMPLE_RATE_HZ)
        if self._dropped:
            self._clear()

    def _mix_overlay(self, frame: np.ndarray) -> None:
        overlay = self._overlay
        assert overlay is not None
        part = overlay.clip.samples[overlay.at_samples : overlay.at_samples + FRAME_SAMPLES]
        frame[: len(part)] += part * _OVERLAY_GAIN
        overlay.at_samples += len(part)
        if overlay.at_samples >= len(overlay.clip.samples):
            self._overlay = None


def _started_words(playing: _Playing, samples: int, at_s: float) -> list[Word]:
    """Return the words that begin within the next `samples` of a clip, moved to the session's clock."""
    shift_s = at_s - playing.at_samples / SAMPLE_RATE_HZ
    words: list[Word] = []
    while playing.next_word < len(playing.clip.words):
        word = playing.clip.words[playing.next_word]
        if word.start_s * SAMPLE_RATE_HZ >= playing.at_samples + samples:
            break
        words.append(Word(word.text, word.start_s + shift_s, word.end_s + shift_s))
        playing.next_word += 1
    return words


def first_audible_s(clip: SpeechClip) -> float:
    """Return when a clip becomes audible, in seconds from its first sample."""
    loud = np.flatnonzero(np.abs(clip.samples) > _AUDIBLE)
    return float(loud[0]) / SAMPLE_RATE_HZ if len(loud) else 0.0
