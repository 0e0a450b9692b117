"""What languages an engine holds talks in."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class MultilingualEngine(Protocol):
    """An engine that holds talks in further languages."""

    @property
    def languages(self) -> tuple[str, ...]:
        """The codes of the languages besides English that it can hold a talk in on this machine."""
        ...


def speaks(engine: object, code: str) -> bool:
    """Return whether an engine holds talks in a language; English ("") is every engine's."""
    return not code or (isinstance(engine, MultilingualEngine) and code in engine.languages)
