"""Turn a model's text pieces into captions."""

from __future__ import annotations

from ..protocol_events import Word
from ..units import FRAME_S
from .contract import Event, Utterance

# longer than a pause within a sentence
UTTERANCE_GAP_S = 1.0


class Captions:
    """Joins the agent's text pieces to utterances; one ends when no piece has come for a second."""

    def __init__(self) -> None:
        self._frames = 0
        self._id = 0
        self._words: list[Word] = []

    def step(self, piece: str) -> tuple[Event, ...]:
        """Take the text piece of one frame, "" for none, and return the caption events that follow from
        it.
        """
        start_s = self._frames * FRAME_S
        self._frames += 1
        if piece:
            end_s = start_s + FRAME_S
            # the tokenizer marks a word's beginning with a space (SentencePiece)
            if piece.startswith(" ") or not self._words:
                self._words.append(Word(piece.strip(), start_s, end_s))
            else:
                # a piece without a leading space continues the word
                last = self._words[-1]
                self._words[-1] = Word(last.text + piece, last.start_s, end_s)
            return (self._utterance(final=False),)
        if not self._words or start_s - self._words[-1].end_s < UTTERANCE_GAP_S:
            return ()
        ended = self._utterance(final=True)
        self._id += 1
        self._words = []
        return (ended,)

    def _utterance(self, final: bool) -> Utterance:
        words = tuple(self._words)
        text = " ".join(word.text for word in words)
        return Utterance(self._id, "agent", text, words[0].start_s, words[-1].end_s, final, words)
