"""Who calls. A principal is made once for each connection, in authentication, and carried from there to
whatever belongs to somebody: talks, cloned voices, comparisons, votes, limits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Literal

from .errors import BadInput

DEFAULT_TENANT = "default"
MIN_OWNER_KEY_CHARS = 16
MAX_OWNER_KEY_CHARS = 200

Scope = Literal["gateway"]
"""What a key opens beyond the app itself: "gateway" the adapters that ask for a key."""


@dataclass(frozen=True)
class Limits:
    """How much a principal may do: of each kind of thing that is counted, so many a minute."""

    connects_per_minute: int = 60


@dataclass(frozen=True)
class Principal:
    """A caller: whose customer it is, whose things it may see, what it may do and how often.

    `owner` is the hash of the key that a browser keeps, under which its things are stored; "" for a caller
    without one, whose `owner_key_chars` tell why. `address` is where it calls from.
    """

    tenant: str = DEFAULT_TENANT
    owner: str = ""
    owner_key_chars: int = 0
    address: str = ""
    scopes: frozenset[Scope] = frozenset()
    limits: Limits = field(default_factory=Limits)

    def with_owner_key(self, key: str) -> Principal:
        """Return this principal as the owner of what belongs to a browser's key; as it is without a key."""
        return replace(self, owner=_owner_of(key), owner_key_chars=len(key)) if key else self

    @property
    def required_owner(self) -> str:
        """The owner, for what only an owner may do.

        Raises: BadInput when no key came, or one too short to be nobody else's.
        """
        if not self.owner:
            raise BadInput(
                f"The owner key has {self.owner_key_chars} characters; it must have {MIN_OWNER_KEY_CHARS} to"
                f" {MAX_OWNER_KEY_CHARS}. Reload the page to get a new one."
            )
        return self.owner


NOBODY = Principal()
"""A caller of which nothing is known."""


def _owner_of(key: str) -> str:
    if not MIN_OWNER_KEY_CHARS <= len(key) <= MAX_OWNER_KEY_CHARS:
        return ""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
