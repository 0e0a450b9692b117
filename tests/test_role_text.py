"""Roles as people paste them: tags, chat messages, Markdown, abbreviations, codes."""

import json

import pytest

from personaplex_app.responder.role_text import plain_role, without_tags
from personaplex_app.responder.rules import RuleResponder

pytestmark = pytest.mark.unit

ROLE = "You work for GreenBin and your name is Mia Lund. Information: Pickup is on Friday."


@pytest.mark.parametrize(
    "pasted",
    [
        "<system> {} <system>",
        "<system>{}</system>",
        "<|im_start|>system\n{}<|im_end|>",
        "[INST] <<SYS>>\n{}\n<</SYS>> [/INST]",
        "System prompt: {}",
        "```\n{}\n```",
        "> {}",
        "**{}**",
    ],
)
def test_role_is_read_without_the_tags_that_it_was_pasted_in(pasted):
    assert plain_role(pasted.format(ROLE)) == ROLE
    responder = RuleResponder(pasted.format(ROLE))
    assert responder.greet() == "Hi, this is Mia from GreenBin. How can I help you today?"
    assert list(responder.reply("When is pickup?")) == ["Pickup is on Friday."]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "system", "content": ROLE},
        [{"role": "system", "content": ROLE}, {"role": "user", "content": "Hello"}],
        {"messages": [{"role": "developer", "content": ROLE}]},
    ],
)
def test_role_given_as_a_chat_message_is_its_content(message):
    assert without_tags(json.dumps(message)) == ROLE
    assert without_tags("[not json") == "[not json"
    assert without_tags('{"a": 1}') == '{"a": 1}'


MARKDOWN = """# Role
You are **Leo**, a receptionist at *Hotel Mar*.

## Facts
- Check-out: 11:00
- Wi-Fi password: `mar1998`
- Gate code: 2024
- Parking: [behind the house](https://hotel.example/map)
- Next fair: 2026-09-12

## Breakfast
From 7:30 to 10 am
"""


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is the wifi password?", "The Wi-Fi password is mar1998."),
        ("What's the gate code?", "The gate code is two zero two four."),
        ("Where is parking?", "The parking is behind the house."),
        ("When is the next fair?", "The next fair is September twelfth, twenty twenty-six."),
        ("When is check-out?", "The check-out is eleven o'clock."),
        ("When is breakfast?", "The breakfast is from seven thirty to ten AM."),
    ],
)
def test_role_in_markdown_is_told_without_markup(question, answer):
    assert list(RuleResponder(MARKDOWN).reply(question))[-1] == answer


@pytest.mark.parametrize(
    ("company", "said"),
    [
        ("Dr. Lind's Dental Clinic", "Doctor Lind's Dental Clinic"),
        ("St. Anne's Hospital", "Saint Anne's Hospital"),
        ("Prof. Moe's School", "Professor Moe's School"),
        ("J. B. Hunt Ltd.", "J. B. Hunt Ltd."),
        ("Mt. Hood Tours", "Mount Hood Tours"),
        ("Acme Inc.", "Acme Inc."),
    ],
)
def test_name_is_not_cut_at_an_abbreviation(company, said):
    role = f"You work for {company} and your name is Tim O'Hara. Information: Visits are from two to four."
    greeting = RuleResponder(role).greet()
    assert greeting == f"Hi, this is Tim from {said.rstrip('.')}. How can I help you today?"
