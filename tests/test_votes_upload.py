"""Votes to a Hub's private dataset: whole, by themselves, never to a public one, and never in the way of a
vote.
"""

import huggingface_hub
import pytest

from personaplex_app.evaluation.blind_test.store import BlindTests
from personaplex_app.evaluation.blind_test.vote_log import LOG_NAME
from personaplex_app.evaluation.blind_test.votes_upload import NotPrivate, VoteUpload

from .support.blind_test_voters import Clock, design, vote
from .support.commit_hub import commit_hub
from .support.patience import until

pytestmark = pytest.mark.unit

TOKEN, REPO = "hf_writer", "somebody/votes"


@pytest.fixture
def server():
    with commit_hub(TOKEN) as made:
        yield made
        huggingface_hub.close_session()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "tests"


def upload(folder, server, **kwargs):
    return VoteUpload(folder, REPO, TOKEN, server.url, **kwargs)


def logs(server):
    return {path: data for path, data in server.files[REPO].items() if path.endswith(".jsonl")}


def test_upload_makes_a_private_dataset_and_sends_whole_logs(folder, server):
    clock = Clock()
    sender = upload(folder, server)
    test = BlindTests(folder, sender.changed, clock).make(design())
    test.begin("me", 6)
    vote(test, clock, "me")
    assert sender.push() == 1
    assert server.private[REPO]
    [(path, data)] = logs(server).items()
    assert path.startswith("votes/")
    assert data == (folder / design().id / LOG_NAME).read_bytes()
    assert sender.push() == 0
    assert server.commits == 1
    vote(test, clock, "me")
    with (folder / design().id / LOG_NAME).open("ab") as file:
        file.write(b'{"torn')
    upload_again = upload(folder, server)
    upload_again.changed(folder / design().id / LOG_NAME)
    upload_again.push()
    assert list(logs(server)) == [path]  # the same installation writes the same file
    assert logs(server)[path].endswith(b"}\n")


def test_upload_to_a_public_dataset_is_refused(folder, server):
    server.files[REPO], server.private[REPO] = {}, False
    sender = upload(folder, server)
    BlindTests(folder, sender.changed).make(design()).begin("me", 6)
    with pytest.raises(NotPrivate, match="is public"):
        sender.push()
    assert server.files[REPO] == {}


def test_upload_goes_on_by_itself_after_trouble_and_ends_with_the_rest(folder, server):
    clock = Clock()
    sender = upload(folder, server, every_s=0.02)
    test = BlindTests(folder, sender.changed, clock).make(design())
    test.begin("me", 6)
    server.down = 1
    sender.start()
    until(lambda: server.commits)
    vote(test, clock, "me")
    sender.close()
    assert list(logs(server).values()) == [(folder / design().id / LOG_NAME).read_bytes()]
