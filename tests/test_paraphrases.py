"""Does the embedded responder find what its role prompt says in other words, and own up to what it lacks?

Questions are in data/paraphrased_questions.yaml.
"""

import re
from pathlib import Path

import pytest
import yaml

from personaplex_app.personas import find
from personaplex_app.responder.numbers import figures
from personaplex_app.responder.rules import RuleResponder

from .support import speech
from .test_responder_facts import holds, report

pytestmark = pytest.mark.slow

DATA = yaml.safe_load((Path(__file__).parent / "data/paraphrased_questions.yaml").read_text("utf-8"))
HEDGED = (
    r"closest|notes|don't (know|have)|not sure|can't (tell|answer|say)|no answer|isn't something|not guess"
)


@pytest.fixture(scope="module")
def encoder():
    return speech.encoder()


def ask_all(part, encoder):
    """Ask each question in a talk of its own; return how many have an answer, and the wrong replies."""
    answerable, wrong, unhedged = 0, [], []
    for name, entry in DATA[part].items():
        prompt = entry.get("prompt") or find(name).prompt
        for question, wanted in entry["questions"].items():
            responder = RuleResponder(prompt, encoder)
            responder.record_played(responder.greet(), False)
            answer = " ".join(responder.reply(question))
            assert figures(answer) <= figures(prompt) | figures(question), (question, answer)
            if wanted == "UNANSWERABLE":
                if not re.search(HEDGED, answer.lower()):
                    unhedged.append((question, wanted, answer))
            else:
                answerable += 1
                if not holds(answer, wanted, question):
                    wrong.append((question, wanted, answer))
    return answerable, wrong, unhedged


@pytest.mark.parametrize(("part", "answerable", "share"), [("chosen_on", 40, 0.8), ("shown_on", 50, 0.7)])
def test_responder_finds_most_of_what_is_asked_in_other_words(encoder, part, answerable, share):
    asked, wrong, unhedged = ask_all(part, encoder)
    print(f"{part}: {asked - len(wrong)} of {asked} right, {len(unhedged)} unanswerable ones not hedged")
    assert asked >= answerable
    assert asked - len(wrong) >= share * asked, report(wrong)
    # "it is spicy" may be told of another dish; nothing more often than that
    assert len(unhedged) <= 2, report(unhedged)


def test_responder_without_the_encoder_still_answers_by_words():
    responder = RuleResponder(find("drone-rental").prompt)
    assert "twelve dollars" in " ".join(responder.reply("How much is the damage insurance?"))
    assert re.search(HEDGED, " ".join(responder.reply("Can we fly above the guests?")).lower())


def test_responder_unsure_answer_begins_with_how_sure_it_is(encoder):
    responder = RuleResponder(find("drone-rental").prompt, encoder)
    sentences = list(responder.reply("Is my little brother old enough, he's fifteen?"))
    assert "closest" in sentences[0]
    assert "eighteen" in " ".join(sentences)
