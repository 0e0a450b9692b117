"""What visitors say by voice, in many roles: is each kind of turn answered as a person would?

Turns and what a good reply holds are in data/visitor_turns.yaml.
"""

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from personaplex_app.personas import find
from personaplex_app.responder.numbers import figures
from personaplex_app.responder.rules import RuleResponder, prepare

from .support import speech

pytestmark = pytest.mark.slow

DATA = yaml.safe_load((Path(__file__).parent / "data/visitor_turns.yaml").read_text("utf-8"))
REFUSED = re.compile(
    r"(?i)notes don't cover|isn't in my notes|nothing about .* in my notes|i don't know that|didn't catch"
    r"|couldn't say|goes beyond this lesson|closest I have|comes closest|not sure that this"
)


@pytest.fixture(scope="module")
def encoder():
    prepare(speech.encoder())
    return speech.encoder()


@cache  # each reads the file of all roles
def prompt_of(role):
    return DATA["prompts"].get(role) or find(role).prompt


def replies_to(turn, encoder):
    responder = RuleResponder(prompt_of(turn["role"]), encoder)
    responder.record_played(responder.greet(), False)
    replies = []
    for text in [*turn.get("after", ()), turn["say"]]:
        replies.append(" ".join(responder.reply(text)))
        responder.record_played(replies[-1], False)
    return replies


def is_good(reply, turn):
    unwanted = re.search(turn["not"], reply) if "not" in turn else None
    return bool(re.search(turn["says"], reply)) and not REFUSED.search(reply) and not unwanted


@pytest.mark.parametrize("kind", DATA["turns"])
def test_visitor_turns_of_each_kind_are_nearly_all_answered(kind, encoder):
    turns = DATA["turns"][kind]
    assert len(turns) >= 10
    wrong = []
    for turn in turns:
        reply = replies_to(turn, encoder)[-1]
        if not is_good(reply, turn):
            wrong.append((turn["role"], turn["say"], reply))
    assert len(wrong) <= len(turns) // 10, wrong


def test_visitor_turns_figures_come_from_the_role_or_the_talk(encoder):
    for kind in ("feelings", "statements", "wishes", "goodbyes"):
        for turn in DATA["turns"][kind]:
            said = " ".join([*turn.get("after", ()), turn["say"]])
            reply = replies_to(turn, encoder)[-1]
            assert figures(reply) <= figures(prompt_of(turn["role"])) | figures(said), (turn["say"], reply)


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("phones", "How much is a new screen?"),
        ("bakery", "When do you close?"),
        ("vet", "Where do I go in an emergency?"),
        ("piano", "How long does a lesson last?"),
        ("restaurant", "Is the red curry spicy?"),
        ("drone-rental", "Where is the shop?"),
        ("waste-collection", "Can I throw away batteries?"),
        ("customer-service", "Is there a warranty on the sofa?"),
    ],
)
def test_visitor_turns_questions_on_the_role_are_not_taken_for_something_else(role, text, encoder):
    reply = replies_to({"role": role, "say": text}, encoder)[-1]
    facts = RuleResponder(prompt_of(role), encoder)._brief.facts
    # what is computed from a fact is worded anew
    told = [fact.text.rstrip(".").lower() for fact in facts] + ["we're open until three pm"]
    assert any(each in reply.lower() for each in told), reply
