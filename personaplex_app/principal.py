"""The principal: who calls. Authentication makes one for each connection.

All that has an owner uses it: talks, cloned voices, comparisons, votes and limits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from .addresses import caller_of
from .errors import BadInput

DEFAULT_TENANT = "default"
MIN_OWNER_KEY_CHARS = 16
MAX_OWNER_KEY_CHARS = 200

Sharers = tuple[Hashable, ...]
"""Who shares, the larger first: an address, a browser behind it."""
Scope = Literal["gateway"]
"""What a key permits besides the app itself: "gateway" is for adapters that require a key."""


@dataclass(frozen=True)
class Limits:
    """The rate limits of a principal."""

    connects_per_minute: int = 60


@dataclass(frozen=True)
class Principal:
    """A caller: its tenant, the owner whose data it may use, what it may do, and how often.

    `owner` is the hash of the key that a browser keeps, under which its data is stored; "" for a caller
    without a valid key, and then `owner_key_chars` says whether there was none or one of a wrong length.
    `address` is its network address.
    """

    tenant: str = DEFAULT_TENANT
    owner: str = ""
    owner_key_chars: int = 0
    address: str = ""
    scopes: frozenset[Scope] = frozenset()
    limits: Limits = field(default_factory=Limits)

    def with_owner_key(self, key: str) -> Principal:
        """Return this principal with the owner for a browser's key, unchanged without a key."""
        return replace(self, owner=_owner_of(key), owner_key_chars=len(key)) if key else self

    @property
    def required_owner(self) -> str:
        """The owner, for requests that need one.

        Raises: BadInput when there was no key, or one so short that it could be somebody else's.
        """
        if not self.owner:
            raise BadInput(
                f"The owner key has {self.owner_key_chars} characters; it must have {MIN_OWNER_KEY_CHARS} to"
                f" {MAX_OWNER_KEY_CHARS}. Reload the page to get a new one."
            )
        return self.owner

    # computed once: the line asks for it at every comparison of two callers
    @cached_property
    def sharers(self) -> Sharers:
        """Who shares with others what there is only so much of: the address, then the browser behind it.

        A house has a whole network of IPv6 addresses and counts as one. () where nobody knows who calls.
        """
        if not self.address:
            return ()
        network = (self.tenant, caller_of(self.address))
        return (network, (*network, self.owner)) if self.owner else (network,)


NOBODY = Principal()
"""A caller about whom nothing is known."""


def _owner_of(key: str) -> str:
    if not MIN_OWNER_KEY_CHARS <= len(key) <= MAX_OWNER_KEY_CHARS:
        return ""
    # only the hash is stored: whoever reads the disk cannot act as the owner
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
