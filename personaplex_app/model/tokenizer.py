"""Turn role prompts into tokens, and tokens into text."""

from __future__ import annotations

from pathlib import Path

import sentencepiece

from ..errors import BadPrompt, WeightsError
from ..foreign_files import absent, told_apart
from .config import EPAD, PAD
from .prompt import with_system_tags

NAMED = {EPAD: "EPAD", PAD: "PAD"}
"""The reference's names of the two tokens of silence; every other token is printed as its piece."""
CONTROL = frozenset((0, 1, 2, 3))
"""Tokens that stand for no words: the two above and the sentence's beginning and end."""
MAX_PROMPT_TOKENS = 1000


class TextTokenizer:
    """The checkpoint's SentencePiece model."""

    def __init__(self, path: Path) -> None:
        """Raises: WeightsError when the file is not a SentencePiece model."""
        if not path.is_file():
            raise WeightsError(absent(path))
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes())
            # an empty file is a model without pieces to the package
            if not len(self):
                raise RuntimeError("no pieces")
        except (OSError, RuntimeError) as error:
            otherwise = (
                f"{path.name} is not a SentencePiece model ({type(error).__name__}). Download the checkpoint"
                " again."
            )
            raise WeightsError(told_apart(path, otherwise)) from error

    def __len__(self) -> int:
        return self._pieces.get_piece_size()

    def prompt_tokens(self, text: str) -> list[int]:
        """Return a role prompt's tokens including its tags, none for an empty prompt.

        Raises: BadPrompt when there are more than `MAX_PROMPT_TOKENS`.
        """
        if not text:
            return []
        tokens = self._pieces.encode(with_system_tags(text))
        if len(tokens) > MAX_PROMPT_TOKENS:
            raise BadPrompt(
                f"The role prompt has {len(tokens):,} tokens; the limit is {MAX_PROMPT_TOKENS:,}. Shorten it"
                " and try again."
            )
        return tokens

    def words(self, text: str) -> list[int]:
        """Return the tokens of words to be spoken; a control token stands for what has no piece."""
        return self._pieces.encode(text)

    def continuations(self) -> list[int]:
        """Return the tokens that go on with a word and begin none."""
        pieces = ((token, self._pieces.id_to_piece(token)) for token in range(len(self)))
        return [token for token, piece in pieces if token not in CONTROL and not piece.startswith("▁")]

    def piece(self, token: int) -> str:
        """Return a token as the reference prints it: its piece, ▁ as a space, or PAD or EPAD."""
        return NAMED.get(token) or self._pieces.id_to_piece(token).replace("▁", " ")

    def spoken(self, token: int) -> str:
        """Return a token's text for captions, "" for one that stands for no words."""
        return "" if token in CONTROL else self.piece(token)
