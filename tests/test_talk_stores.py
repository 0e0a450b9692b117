"""What every TalkStore does, whatever it writes to. A new one is held to it by a line in STORES."""

import random
import threading
from dataclasses import replace

import pytest

from personaplex_app.engine.contract import Mark, Sampling, TurnLatency, Utterance
from personaplex_app.errors import NotFound
from personaplex_app.principal import NOBODY
from personaplex_app.protocol_events import Word
from personaplex_app.sessions.records import TalkMeta, TalkRecord, new_talk_id
from personaplex_app.sessions.sqlite_store import MAX_LISTED, SqliteTalkStore

pytestmark = pytest.mark.unit

STORES = {
    "SQLite in a file": lambda folder: SqliteTalkStore(folder / "talks.sqlite3"),
    "SQLite in memory": lambda folder: SqliteTalkStore(None),
}

OWNER, OTHER = NOBODY.with_owner_key("a" * 32).required_owner, NOBODY.with_owner_key("b" * 32).required_owner
META = TalkMeta("classic", "Nora", "You are a wise teacher.", "teacher", Sampling(seed=7))
SAID = (
    Utterance(1, "user", "How much is it?", 0.5, 1.5, True, (Word("How", 0.5, 0.7), Word("much", 0.7, 0.9))),
    Utterance(2, "agent", "Eight dollars a month.", 1.9, 3.2, True),
)
MARKS = (Mark("interruption", "user", 2.5, 2.9), Mark("overlap", "user", 0.1 + 0.2, 3.0))
TURNS = (TurnLatency(1.5, 1.9), TurnLatency(4.0, 4.1 + 0.2))


@pytest.fixture(params=STORES.values(), ids=STORES)
def store(request, tmp_path):
    store = request.param(tmp_path)
    yield store
    store.close()


def talk(store, owner=OWNER, started_at_s=1_000.0, ended_at_s=1_060.0, events=SAID):
    talk_id = new_talk_id()
    store.begin(talk_id, owner, started_at_s, META)
    store.add(talk_id, events)
    store.finish(talk_id, ended_at_s, ended_at_s - started_at_s, "done", "stopped")
    return talk_id


def test_talk_begun_is_live_and_finished_as_it_was_told(store):
    talk_id = new_talk_id()
    store.begin(talk_id, OWNER, 1_000.0, META)
    assert store.get(OWNER, talk_id) == TalkRecord(talk_id, META, "live", 1_000.0, 0.0)
    store.add(talk_id, [SAID[1], MARKS[0], TURNS[0]])
    store.add(talk_id, [SAID[0], MARKS[1], TURNS[1]])
    store.finish(talk_id, 1_060.5, 60.25, "interrupted", "lost")
    assert store.get(OWNER, talk_id) == TalkRecord(
        id=talk_id,
        meta=META,
        status="interrupted",
        started_at_s=1_000.0,
        ended_at_s=1_060.5,
        duration_s=60.25,
        end_reason="lost",
        utterances=SAID,
        marks=(MARKS[1], MARKS[0]),  # in order of time
        turn_latencies=TURNS,
    )


def test_utterance_replaces_the_one_with_its_speaker_and_id(store):
    first = replace(SAID[0], text="How")
    other = replace(SAID[0], speaker="agent", start_s=9.0)
    talk_id = talk(store, events=[first, other, SAID[0]])
    assert store.get(OWNER, talk_id).utterances == (SAID[0], other)


def test_add_is_all_or_none(store):
    talk_id = talk(store)
    before = store.get(OWNER, talk_id)
    with pytest.raises(ZeroDivisionError):
        store.add(talk_id, (MARKS[0] if number else 1 / number for number in (3, 2, 1, 0)))
    assert store.get(OWNER, talk_id) == before


def test_list_is_newest_first_only_ones_own_and_without_what_happened(store):
    first, second = talk(store, started_at_s=1_000.0), talk(store, started_at_s=2_000.0, ended_at_s=2_001.0)
    twin = talk(store, started_at_s=2_000.0, ended_at_s=2_001.0)
    anothers = talk(store, OTHER)
    found = store.talks(OWNER)
    assert [each.id for each in found] == [twin, second, first]
    assert {(each.utterances, each.marks, each.turn_latencies) for each in found} == {((), (), ())}
    assert set(store.ids(OWNER)) == {first, second, twin}
    assert store.ids(OTHER) == [anothers]


def test_list_is_bounded_and_ids_are_not(store):
    ids = [new_talk_id() for _ in range(MAX_LISTED + 2)]
    for number, talk_id in enumerate(ids):
        store.begin(talk_id, OWNER, float(number), META)
    assert [each.id for each in store.talks(OWNER)] == ids[:1:-1]
    assert sorted(store.ids(OWNER)) == sorted(ids)


@pytest.mark.parametrize(
    "talk_id", ["another's", "0" * 16, "", "../../etc/passwd", "a" * 15 + "\n", "' OR 1=1 --"]
)
def test_others_and_absent_talks_are_the_same_not_found(store, talk_id):
    anothers = talk(store, OTHER)
    talk_id = anothers if talk_id == "another's" else talk_id
    errors = []
    for act in (store.get, lambda owner, talk_id: store.rate(owner, talk_id, 5, "")):
        with pytest.raises(NotFound) as error:
            act(OWNER, talk_id)
        errors.append(str(error.value))
    assert len(set(errors)) == 1
    assert not store.has(OWNER, talk_id)
    assert store.exists(talk_id) == (talk_id == anothers)
    assert store.has(OTHER, anothers)
    assert store.get(OTHER, anothers).stars is None


def test_rating_is_replaced(store):
    talk_id = talk(store)
    store.rate(OWNER, talk_id, 4, "good pace")
    store.rate(OWNER, talk_id, 2, "")
    assert (store.get(OWNER, talk_id).stars, store.get(OWNER, talk_id).comment) == (2, "")


def test_everybodys_talks_come_in_the_order_that_they_ended(store):
    late, early = talk(store, ended_at_s=1_100.0), talk(store, OTHER, ended_at_s=1_050.0)
    assert [each.id for each in store.oldest_first()] == [early, late]


def test_unfinished_talks_have_what_was_said_in_them(store):
    talk(store)
    talk_id = new_talk_id()
    store.begin(talk_id, OTHER, 1_000.0, META)
    store.add(talk_id, SAID)
    assert store.unfinished() == [store.get(OTHER, talk_id)]
    assert store.unfinished()[0].utterances == SAID


def test_deleted_talks_take_everything_along(store):
    gone, stays = talk(store, events=[*SAID, *MARKS, *TURNS]), talk(store, events=[*SAID, *MARKS, *TURNS])
    kept = store.get(OWNER, stays)
    store.delete([gone, "0" * 16])
    store.delete([])
    with pytest.raises(NotFound):
        store.get(OWNER, gone)
    assert store.get(OWNER, stays) == kept
    store.begin(gone, OWNER, 1_000.0, META)  # nothing of the first one comes back
    assert store.get(OWNER, gone) == TalkRecord(gone, META, "live", 1_000.0, 0.0)


@pytest.mark.parametrize("other", STORES.values(), ids=STORES)
def test_inserted_talk_is_the_one_that_was_read_elsewhere(store, other, tmp_path):
    (tmp_path / "other").mkdir()
    other = other(tmp_path / "other")
    talk_id = talk(other, events=[*SAID, *MARKS, *TURNS])
    other.rate(OWNER, talk_id, 5, "lovely")
    store.insert(OWNER, other.get(OWNER, talk_id))
    assert store.get(OWNER, talk_id) == other.get(OWNER, talk_id)
    assert not store.has(OTHER, talk_id)
    other.close()


def test_text_that_no_database_takes_is_stored_as_it_can_be(store):
    talk_id = new_talk_id()
    store.begin(talk_id, OWNER, 1_000.0, replace(META, prompt="a\0b \ud800"))
    store.add(talk_id, [Utterance(1, "user", "\ud800\0" + "x" * 5_000, 0, 1, True, (Word("\ud800", 0, 1),))])
    found = store.get(OWNER, talk_id)
    assert found.meta.prompt == "ab ?"
    assert found.utterances == (Utterance(1, "user", "?" + "x" * 3_998, 0, 1, True, (Word("?", 0, 1),)),)


def test_two_threads_write_two_talks_at_once(store):
    barrier, ids = threading.Barrier(2), {}

    def write(speaker):
        barrier.wait()
        said = [Utterance(step, speaker, f"{speaker} {step}", step, step + 1, True) for step in range(100)]
        talk_id = new_talk_id()
        store.begin(talk_id, OWNER, 1_000.0, META)
        for each in said:
            store.add(talk_id, [each, Mark("overlap", speaker, each.start_s, each.end_s)])
        ids[talk_id] = said

    threads = [threading.Thread(target=write, args=(speaker,)) for speaker in ("user", "agent")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 2
    for talk_id, said in ids.items():
        assert store.get(OWNER, talk_id).utterances == tuple(said)
        assert len(store.get(OWNER, talk_id).marks) == 100


def test_deleted_comments_and_talks_leave_no_byte(store, tmp_path):
    chance = random.Random(3)
    said = [replace(SAID[0], id=number, text=f"SECRET{'x' * chance.randint(1, 900)}") for number in range(9)]
    ids = [talk(store, events=said) for _ in range(3)]
    store.rate(OWNER, ids[0], 4, "SECRETCOMMENT")
    store.rate(OWNER, ids[0], 4, "fine")
    store.delete(ids)
    assert b"SECRET" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_closing_twice_does_no_harm(store):
    store.close()
    store.close()
