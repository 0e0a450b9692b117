"""Cloned voices as files and in the engine: exact with the reference, told by content, and hostile files
refused.
"""

import json
import struct
from contextlib import suppress

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from personaplex_app.engine.batch_scheduler import BatchScheduler
from personaplex_app.engine.contract import Clone, Sampling, SessionConfig
from personaplex_app.engine.personaplex import PersonaplexEngine, PersonaplexSettings
from personaplex_app.engine.snapshots import Snapshots
from personaplex_app.errors import BadAudio, BadVoiceFile, EngineError
from personaplex_app.model.cloning import FORMAT, codec_sha256, from_file, to_file
from personaplex_app.model.duplex import Duplex
from personaplex_app.model.mimi import Mimi
from personaplex_app.voices import MAX_CLONE_BYTES

from .support import tiny
from .support.patience import until

CARD = 2048
CODEC = codec_sha256(tiny.checkpoint().mimi)
CODES = torch.randint(0, CARD, (8, 50), generator=torch.Generator().manual_seed(2))
GOOD = to_file(CODES, CODEC)
NOTES = {"format": FORMAT, "codec": CODEC}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    made = PersonaplexEngine(
        PersonaplexSettings(str(tiny.GOLDEN), tmp_path_factory.mktemp("voices"), "cpu", "float32", 2)
    )
    made.load(lambda state: None)
    yield made
    made.close()


def golden_speech() -> np.ndarray:
    return soundfile.read(tiny.GOLDEN / "voice_clone.wav", dtype="float32")[0]


def heard(engine, clone: Clone, prompt: str = "Be kind.", frames: int = 8) -> list[tuple[str, bytes]]:
    """What the agent says and sounds like in a voice."""
    session = engine.open(SessionConfig("clone:x", prompt, sampling=Sampling(0.0, 0.0), clone=clone))
    steps = [session.step(frame) for frame in tiny.user_wav().reshape(-1, 1920)[:frames]]
    session.close()
    return [(step.text, step.agent.tobytes()) for step in steps]


@pytest.mark.slow
def test_engine_cloned_voice_is_the_references(engine):
    about, arrays = tiny.case("clone_wav")
    clone = Clone("Mine", engine.clone(golden_speech()))
    session = engine.open(
        SessionConfig("clone:x", about["text_prompt"], sampling=Sampling(0.0, 0.0), clone=clone)
    )
    golden = arrays["pcm"].reshape(-1, 1920)
    for t, user in enumerate(tiny.user_wav().reshape(-1, 1920)[:40]):
        step = session.step(user)
        assert step.text == ("" if about["text"][t] in ("PAD", "EPAD", "BOS", "EOS") else about["text"][t])
        assert np.abs(step.agent - np.clip(golden[t], -1, 1)).max() < 1e-4
    session.close()


def test_engine_snapshots_know_a_cloned_voice_by_its_content(engine):
    mine, yours = to_file(CODES, CODEC), to_file(CODES.flip(1), CODEC)
    engine.snapshots.clear()
    hits = engine.snapshots.hits
    first = heard(engine, Clone("Anna", mine))
    assert heard(engine, Clone("Another name", mine)) == first
    assert engine.snapshots.hits == hits + 1
    # the same name and another's voice: never the first one's
    assert heard(engine, Clone("Anna", yours)) != first
    assert engine.snapshots.hits == hits + 1
    before_bytes = engine.snapshots.bytes
    engine.forget_clone(mine)
    assert 0 < engine.snapshots.bytes < before_bytes
    assert heard(engine, Clone("Anna", mine)) == first
    assert engine.snapshots.hits == hits + 1


def test_engine_recording_without_sound_harms_nobody(engine):
    session = engine.open(SessionConfig("NATF0", "Be kind."))
    with pytest.raises(BadAudio, match="silent"):
        engine.clone(np.zeros(5 * 24_000, np.float32))
    session.step(np.zeros(1920, np.float32))
    session.close()


def test_slots_work_that_fails_is_told_and_a_fault_is_survived():
    def refuse():
        raise BadAudio("No.")

    slots = BatchScheduler(lambda: Duplex(tiny.checkpoint(), 1), Snapshots(0), 64)
    assert slots.call(lambda: 5) == 5
    with pytest.raises(BadAudio):
        slots.call(refuse)
    with pytest.raises(EngineError, match=r"stopped with an error.*division"):
        slots.call(lambda: 1 // 0)

    def works_again() -> bool:
        with suppress(EngineError):
            return slots.call(lambda: 6) == 6
        return False

    until(works_again)
    slots.close()
    with pytest.raises(EngineError, match="closed"):
        slots.call(lambda: 7)


def test_engine_not_loaded_clones_nothing(tmp_path):
    engine = PersonaplexEngine(PersonaplexSettings(str(tiny.GOLDEN), tmp_path))
    for ask in (lambda: engine.clone(golden_speech()), lambda: engine.check_clone(GOOD)):
        with pytest.raises(EngineError, match="not loaded yet"):
            ask()


# --- files ---


def test_file_of_a_voice_gives_its_codes_back():
    assert torch.equal(from_file(GOOD, CODEC, CARD), CODES)
    assert len(GOOD) < 2_000


def test_codec_of_other_codebooks_is_another():
    other = Mimi(tiny.checkpoint().mimi.config)
    other.load_state_dict(tiny.checkpoint().mimi.state_dict())
    assert codec_sha256(other) == CODEC
    other.quantizer.rvq_rest.vq.layers[6].state_dict()["_codebook.embedding_sum"][5, 1] += 1
    assert codec_sha256(other) != CODEC


def file(codes=CODES.to(torch.int16), notes=NOTES, **more) -> bytes:
    return save({**({"codes": codes.contiguous()} if codes is not None else {}), **more}, notes)


def with_header(header: dict | bytes, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


OURS = "choose (a voice|one) that was exported here"
HOSTILE = {
    "is empty": (b"", OURS),
    "is text": (b"<html>no</html>", OURS),
    "is cut": (GOOD[:-5], OURS),
    "is a pickle": (b"\x80\x04\x95" + bytes(60), OURS),
    "is too large": (file(more=torch.zeros(MAX_CLONE_BYTES)), "the limit is 65,536"),
    "has a header beyond its end": (struct.pack("<Q", 2**62) + b"{}", OURS),
    "has a header that is no object": (with_header(b"[1, 2]"), OURS),
    "has a header of brackets": (with_header(b"[" * 30_000), OURS),
    "has offsets beyond its end": (
        with_header({"codes": {"dtype": "I16", "shape": [8, 50], "data_offsets": [0, 800]}}, bytes(10)),
        OURS,
    ),
    "has offsets that overlap": (
        with_header(
            {
                "codes": {"dtype": "I16", "shape": [8, 1], "data_offsets": [0, 16]},
                "more": {"dtype": "I16", "shape": [8, 1], "data_offsets": [0, 16]},
            },
            bytes(16),
        ),
        OURS,
    ),
    "has a shape that overflows": (
        with_header({"codes": {"dtype": "I16", "shape": [2**62, 8], "data_offsets": [0, 0]}}),
        OURS,
    ),
    "has no codes": (file(codes=None, other=torch.zeros(1)), OURS),
    "has more than codes": (file(more=torch.zeros(1)), OURS),
    "has no notes": (file(notes=None), OURS),
    "has other notes": (file(notes={"format": "a picture", "codec": CODEC}), OURS),
    "has more notes": (file(notes={**NOTES, "by": "me"}), OURS),
    "has endless notes": (file(notes={**NOTES, "by": "x" * 20_000}), "longer than 1,000 characters"),
    "is of another model": (file(notes={"format": FORMAT, "codec": "0" * 64}), "made with another model"),
    "has floats": (file(CODES.float()), "codes are 'torch.float32'"),
    "has wide numbers": (file(CODES), "codes are 'torch.int64'"),
    "has nine codebooks": (file(torch.zeros(9, 50, dtype=torch.int16)), r"\[9, 50\]"),
    "has no frames": (file(torch.zeros(8, 0, dtype=torch.int16)), r"\[8, 0\]"),
    "has too many frames": (file(torch.zeros(8, 751, dtype=torch.int16)), r"\[8, 751\]"),
    "is one number": (file(torch.zeros((), dtype=torch.int16)), r"\[\]"),
    "has codes below zero": (file(-CODES.to(torch.int16)), "outside 0 to 2047"),
    "has codes beyond the tables": (
        file(CODES.to(torch.int16) + 1 + 2047 - CODES.max().to(torch.int16)),
        "outside 0 to 2047",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_file_that_is_no_voice_is_refused_with_a_sentence(kind):
    data, said = HOSTILE[kind]
    with pytest.raises(BadVoiceFile, match=said) as raised:
        from_file(data, CODEC, CARD)
    assert str(raised.value).endswith(".")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**16), st.binary(min_size=1, max_size=12), st.integers(0, 100))
def test_file_with_bytes_changed_is_refused_or_still_a_voice(place, noise, cut_bytes):
    data = bytearray(GOOD)
    place %= len(data)
    data[place : place + len(noise)] = noise
    try:
        codes = from_file(bytes(data[: len(data) - cut_bytes]), CODEC, CARD)
    except BadVoiceFile:
        return
    assert codes.shape[0] == 8
    assert 0 <= codes.min() <= codes.max() < CARD
