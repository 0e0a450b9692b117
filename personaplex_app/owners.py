"""Who a stored thing belongs to: the hash of the key that a browser keeps."""

from __future__ import annotations

import hashlib

from .errors import BadInput

MIN_OWNER_KEY_CHARS = 16
MAX_OWNER_KEY_CHARS = 200


def owner_hash(key: str) -> str:
    """Return what is stored in place of a browser's key.

    Raises: BadInput when the key is too short to be nobody else's.
    """
    if not MIN_OWNER_KEY_CHARS <= len(key) <= MAX_OWNER_KEY_CHARS:
        raise BadInput(
            f"The owner key has {len(key)} characters; it must have {MIN_OWNER_KEY_CHARS} to"
            f" {MAX_OWNER_KEY_CHARS}. Reload the page to get a new one."
        )
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
