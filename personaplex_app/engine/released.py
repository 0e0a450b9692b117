"""The released voices as the gallery shows them."""

from __future__ import annotations

from ..voices import family_of
from .contract import Voice


def released_voice(name: str) -> Voice:
    """Return a voice of the release.

    Raises: UnknownVoice.
    """
    family = family_of(name)
    return Voice(name, f"{family.title} {int(name[len(family.prefix) :]) + 1}", family.description, family.title)
