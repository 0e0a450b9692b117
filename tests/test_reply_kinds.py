"""What visitors ask of many roles, in words that were not used while the responder was made."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from personaplex_app.responder.dialogue import Dialogue
from personaplex_app.responder.role_text import plain_role
from personaplex_app.responder.rules import RuleResponder
from personaplex_app.responder.sentence_encoder import SentenceEncoder

pytestmark = pytest.mark.slow

KINDS = yaml.safe_load((Path(__file__).parent / "data/reply_kinds.yaml").read_text("utf-8"))
# how a role is described, and the style of talk that it needs
ROLES = {
    "My name is Herr Vogel and I teach geometry. I'm stern. Pupils must show their working.": "tutor",
    "be a physics professor for beginners, ask me questions after each explanation": "tutor",
    "You spin yarns for sleepy kids. Your heroes are hedgehogs. Name: Aunt Willa.": "story",
    "You are a narrator of adventure tales for teenagers": "story",
    "Bella's Flower Shop. Roses 3 dollars each, tulips 2 dollars. You are friendly.": "service",
    "You answer questions for guests of the Hotel Miramar: breakfast 7 to 10, pool until 9 pm.": "service",
    "You're the receptionist of Paws & Claws, a vet. Vaccination 30 euros. Open weekdays 8-18.": "service",
    "You are a barista at Bean There. Latte 4 dollars, espresso 3 dollars, oat milk free.": "service",
    "You are a marine biologist called Ana who loves octopuses and explains the sea.": "expert",
    "You're a grill master and barbecue expert called Big Joe.": "expert",
    "You're a podcast host. I'm your guest. Ask me about my startup.": "journalist",
    "You are a Zen master. Speak in riddles, give counsel on patience.": "teacher",
    "Just be my buddy. We talk about games, school and what we did today.": "casual",
    "You are a furious hotel guest. Your room was dirty and loud and you demand a refund.": "angry",
    "Teach me Italian. One phrase at a time.": "language",
    "Play a hiring manager who does a mock interview with me for a nurse position.": "interview",
    "You are Cleopatra, queen of Egypt.": "plain",
    "You're a smart assistant, concise and polite.": "assistant",
}


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoder()


def talk(prompt, texts, encoder):
    responder = RuleResponder(prompt, encoder)
    responder.record_played(responder.greet(), False)
    said = []
    for text in texts:
        said.append(" ".join(responder.reply(text)))
        responder.record_played(said[-1], False)
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_replies_of_each_kind_hold_what_was_asked_and_never_twice_the_same(encoder, kind):
    entry = KINDS[kind]
    said = talk(entry["prompt"], entry["say"], encoder)
    wrong = [
        (text, reply)
        for (text, wanted), reply in zip(entry["say"].items(), said, strict=True)
        if not re.search(f"(?i){wanted}", reply)
    ]
    print(f"{kind}: {len(said) - len(wrong)} of {len(said)}", *wrong, sep="\n    ")
    assert len(wrong) <= len(said) // 5, wrong
    assert all(one != other for one, other in pairwise(said))


def test_style_of_a_written_role_is_chosen_by_what_it_means(encoder):
    found = {prompt: Dialogue.load().style_for(plain_role(prompt), encoder).name for prompt in ROLES}
    wrong = {prompt: style for prompt, style in found.items() if style != ROLES[prompt]}
    assert len(wrong) <= len(ROLES) // 10, wrong
