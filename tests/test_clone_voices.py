"""Whose cloned voices there are, for how long, and what is on the disk."""

import json
import stat

import pytest

from personaplex_app.cloning import voices
from personaplex_app.cloning.voices import MAX_OF_OWNER, TEMPORARY_AGE_S, ClonedVoices
from personaplex_app.errors import BadInput, NotFound, StorageError, StorageFull
from personaplex_app.principal import NOBODY

pytestmark = pytest.mark.unit
KEY = "m" * 32
ME, YOU = NOBODY.with_owner_key(KEY), NOBODY.with_owner_key("y" * 32)


class Clock:
    def __init__(self):
        self.now_s = 1_000.0

    def __call__(self):
        return self.now_s


class Kept:
    """The voices of one folder with a clock that is moved by hand."""

    def __init__(self, folder):
        self.folder, self.clock, self.gone = folder, Clock(), []
        self.open()

    def open(self):
        self.voices = ClonedVoices(self.folder, self.gone.append, self.clock, self.clock)
        return self.voices

    def files(self):
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def kept(tmp_path):
    return Kept(tmp_path / "clones")


def test_voices_are_their_owners_only(kept):
    mine = kept.voices.add(ME, "  Anna \n Karenina ", b"the sound of it", keep=True)
    assert (mine.name, mine.kept) == ("Anna Karenina", True)
    assert kept.voices.all(YOU) == []
    for act in (kept.voices.get, kept.voices.keep, kept.voices.delete):
        for owner, id_ in ((YOU, mine.id), (ME, "0" * 16), (ME, "../../etc"), (ME, "")):
            with pytest.raises(NotFound, match="no such cloned voice among yours"):
                act(owner, id_)
    with pytest.raises(BadInput, match="owner key"):
        kept.voices.get(NOBODY.with_owner_key("short"), mine.id)
    assert kept.voices.get(ME, mine.id) == mine
    assert "the sound of it" not in repr(mine)


def test_voices_not_kept_go_an_hour_after_their_last_use(kept):
    used, unused = (kept.voices.add(ME, name, name.encode(), keep=False) for name in ("used", "unused"))
    staying = kept.voices.add(ME, "staying", b"staying", keep=True)
    kept.clock.now_s += TEMPORARY_AGE_S - 1
    kept.voices.get(ME, used.id)
    kept.clock.now_s += 2
    assert [voice.name for voice in kept.voices.all(ME)] == ["used", "staying"]
    assert kept.gone == [b"unused"]
    with pytest.raises(NotFound):
        kept.voices.get(ME, unused.id)
    kept.clock.now_s += 100 * TEMPORARY_AGE_S
    assert [voice.id for voice in kept.voices.all(ME)] == [staying.id]
    assert kept.files() == [f"{staying.id}.json", f"{staying.id}.safetensors"]


def test_voices_kept_are_there_after_a_restart(kept):
    first = kept.voices.add(ME, "first", b"one", keep=True)
    kept.clock.now_s += 1
    second = kept.voices.add(ME, "second", b"two", keep=False)
    kept.voices.add(ME, "temporary", b"three", keep=False)
    kept.voices.keep(ME, second.id)
    kept.voices.keep(ME, second.id)
    found = kept.open().all(ME)
    assert [(voice.id, voice.name, voice.data, voice.kept) for voice in found] == [
        (first.id, "first", b"one", True),
        (second.id, "second", b"two", True),
    ]
    assert KEY not in str([*kept.folder.rglob("*")])
    for path in kept.folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
        assert path.is_dir() or KEY.encode() not in path.read_bytes()


def test_voices_deleted_leave_nothing(kept):
    temporary, staying = (kept.voices.add(ME, "x", b"data", keep=keep) for keep in (False, True))
    for voice in (temporary, staying):
        kept.voices.delete(ME, voice.id)
    assert kept.gone == [b"data", b"data"]
    assert kept.voices.all(ME) == kept.open().all(ME) == []
    assert not [*kept.folder.rglob("*")]


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "a\0b", "\x1b[2J", "\u202eabc"])
def test_voices_name_that_cannot_be_shown_is_refused(kept, name):
    with pytest.raises(BadInput, match="1 to 40 printable characters"):
        kept.voices.add(ME, name, b"a", keep=False)


def test_voices_are_few_for_each_and_bounded_for_all(kept, monkeypatch):
    for number in range(MAX_OF_OWNER):
        kept.voices.add(ME, str(number), b"a", keep=False)
    with pytest.raises(BadInput, match="delete one first"):
        kept.voices.add(ME, "more", b"a", keep=False)
    monkeypatch.setattr(voices, "MAX_TEMPORARY", MAX_OF_OWNER + 1)
    kept.clock.now_s += 1
    kept.voices.get(ME, kept.voices.all(ME)[0].id)
    for number in range(3):
        kept.voices.add(YOU, str(number), b"b", keep=False)
    # the longest unused went, the one just used stayed
    assert [voice.name for voice in kept.voices.all(ME)] == ["0", *map(str, range(3, MAX_OF_OWNER))]
    monkeypatch.setattr(voices, "MAX_KEPT", 1)
    kept.voices.add(YOU, "kept", b"c", keep=True)
    with pytest.raises(StorageFull, match="1 voices are kept here"):
        kept.voices.add(YOU, "kept too", b"c", keep=True)
    assert len(kept.files()) == 2


def test_voices_altered_or_half_written_are_not_offered(kept):
    made = {
        name: kept.voices.add(ME, name, name.encode(), keep=True)
        for name in ("good", "altered", "unnamed", "half")
    }
    owner = next(kept.folder.iterdir())
    (owner / f"{made['altered'].id}.safetensors").write_bytes(b"other")
    (owner / f"{made['unnamed'].id}.json").write_text("[")
    (owner / f"{made['half'].id}.json").unlink()
    (owner / f"{made['half'].id}.part").write_bytes(b"x")
    (owner / "stranger.json").write_text(json.dumps({"name": "x"}))
    assert [voice.id for voice in kept.open().all(ME)] == [made["good"].id]
    assert not [name for name in kept.files() if name.startswith(made["half"].id)]


def test_voices_where_nothing_can_be_written_are_not_lost(tmp_path):
    (tmp_path / "clones").write_text("a file where the folder would be")
    for folder, said in ((tmp_path / "clones", "cannot be kept: "), (None, "without a data folder")):
        store = ClonedVoices(folder, lambda data: None)
        voice = store.add(ME, "x", b"a", keep=False)
        with pytest.raises(StorageError, match=said):
            store.keep(ME, voice.id)
        with pytest.raises(StorageError, match=said):
            store.add(ME, "y", b"a", keep=True)
        assert [each.kept for each in store.all(ME)] == [False]
