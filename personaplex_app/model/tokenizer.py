"""Turn role prompts into tokens, and tokens into text."""

from __future__ import annotations

from pathlib import Path

import sentencepiece

from ..errors import BadPrompt, WeightsError
from .prompt import with_system_tags

SPECIAL = {0: "EPAD", 1: "BOS", 2: "EOS", 3: "PAD"}
MAX_PROMPT_TOKENS = 1000


class TextTokenizer:
    """The checkpoint's SentencePiece model."""

    def __init__(self, path: Path) -> None:
        """Raises: WeightsError when the file is not a SentencePiece model."""
        if not path.is_file():
            raise WeightsError(
                f"{path.name} is missing. Give the folder of a whole checkpoint, or its Hub repository."
            )
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes())
        except (OSError, RuntimeError) as error:
            raise WeightsError(
                f"{path.name} is not a SentencePiece model ({type(error).__name__}). Download the checkpoint"
                " again."
            ) from error

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

    def piece(self, token: int) -> str:
        """Return what a token says, a leading space where a word begins, or the name of a special token."""
        return SPECIAL.get(token) or self._pieces.id_to_piece(token).replace("▁", " ")

    def spoken(self, token: int) -> str:
        """Return what a token says, nothing for a special one."""
        return "" if token in SPECIAL else self.piece(token)
