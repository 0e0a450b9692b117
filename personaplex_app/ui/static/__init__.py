"""The folder of the browser's files."""

from pathlib import Path

from ...audio import ACCEPTED_FORMATS

STATIC = Path(__file__).resolve().parent
FORMATS_HERE = "ACCEPTED_FORMATS"


def read_static(name: str) -> str:
    """Return a file of this folder as text; where it asks for the formats of recordings, they are in it."""
    text = (STATIC / name).read_text(encoding="utf-8")
    return text.replace(FORMATS_HERE, ",".join(ACCEPTED_FORMATS)) if name.endswith(".html") else text
