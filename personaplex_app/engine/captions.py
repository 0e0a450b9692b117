"""Turn a model's text pieces into captions."""

from __future__ import annotations

import codecs
import re

from ..protocol_events import Word
from ..units import FRAME_S
from .contract import Event, Utterance

# longer than a pause within a sentence
UTTERANCE_GAP_S = 1.0


# how a tokenizer spells a byte of a character that it has no piece for
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class TextPieces:
    """Makes text of pieces; of a character that is spelled in bytes nothing is told until it is whole."""

    def __init__(self) -> None:
        # bytes that never make a character are left out
        self._bytes = codecs.getincrementaldecoder("utf-8")(errors="ignore")

    def push(self, pieces: str) -> str:
        """Return the text of one frame's pieces, with what waited before them."""
        text = ""
        # the odd parts are bytes
        for n, part in enumerate(_BYTE.split(pieces)):
            if n % 2:
                text += self._bytes.decode(bytes((int(part, 16),)))
            elif part:
                self._bytes.reset()
                text += part
        return "".join(" " if ord(letter) < ord(" ") else letter for letter in text)


class Captions:
    """Joins the agent's text pieces to utterances; one ends when no piece has come for a second.

    `text` is what the last step's pieces say.
    """

    def __init__(self) -> None:
        self.text = ""
        self._pieces = TextPieces()
        self._frames = 0
        self._id = 0
        self._words: list[Word] = []
        self._line = ""

    def step(self, pieces: str, line_id: str = "") -> tuple[Event, ...]:
        """Take the text pieces of one frame, "" for none, and return the caption events that follow from
        them.

        `line_id` is the line that the pieces belong to, "" for the agent's own words.
        """
        piece = self.text = self._pieces.push(pieces)
        start_s = self._frames * FRAME_S
        self._frames += 1
        if piece:
            # what it was told to say is an utterance of its own
            ended = self._end() if line_id != self._line else ()
            self._line = line_id
            end_s = start_s + FRAME_S
            # the tokenizer marks a word's beginning with a space (SentencePiece)
            if piece.startswith(" ") or not self._words:
                self._words.append(Word(piece.strip(), start_s, end_s))
            else:
                # a piece without a leading space continues the word
                last = self._words[-1]
                self._words[-1] = Word(last.text + piece, last.start_s, end_s)
            return (*ended, *self._utterance(final=False))
        if not self._words or start_s - self._words[-1].end_s < UTTERANCE_GAP_S:
            return ()
        return self._end()

    def _end(self) -> tuple[Utterance, ...]:
        ended = self._utterance(final=True)
        self._id += len(ended)
        self._words = []
        return ended

    def _utterance(self, final: bool) -> tuple[Utterance, ...]:
        # the piece of a lone space begins a word that bytes are to fill
        words = tuple(word for word in self._words if word.text)
        if not words:
            return ()
        text = " ".join(word.text for word in words)
        times = words[0].start_s, words[-1].end_s
        return (Utterance(self._id, "agent", text, *times, final, words, line=self._line),)
