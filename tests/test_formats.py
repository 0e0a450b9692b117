"""One list of the formats of recordings: in every picker, in the message and in the documentation."""

import io
import re

import pytest

from personaplex_app.audio import ACCEPTED_FORMATS, decode
from personaplex_app.errors import BadAudio
from personaplex_app.ui.static import FORMATS_HERE, STATIC, read_static

from .test_structure import ROOT

pytestmark = pytest.mark.unit

PICKERS = [path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.html")]


def test_every_picker_of_recordings_offers_what_is_read():
    pages = {name: read_static(name) for name in PICKERS}
    everything = ",".join(ACCEPTED_FORMATS)
    asking = {name for name, text in pages.items() if everything in text}
    assert asking == {"compare/compare.html", "clone/clone-dialog.html", "respond/respond.html"}
    for text in pages.values():
        assert FORMATS_HERE not in text
        assert set(re.findall(r'accept="([^"]*)"', text)) <= {everything, ".safetensors"}


def named(text: str) -> set[str]:
    return {f".{name}" for name in re.findall(r"wav|flac|ogg|mp3|m4a|webm|amr|mp4|wma|midi", text)}


def test_message_and_documentation_name_only_what_is_read():
    with pytest.raises(BadAudio) as caught:
        decode(io.BytesIO(b"no sound").getvalue(), 1.0)
    (sentence,) = re.findall(
        r"takes a recording of up to.*?\(([^)]*)\)", (ROOT / "docs/evaluation.md").read_text()
    )
    for text in (str(caught.value), sentence):
        assert len(named(text)) >= 5
        assert named(text) <= set(ACCEPTED_FORMATS)
