"""A language model's text on its way to the voice: thoughts, sentences, markup."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_app.responder.llm import _ReplyText
from personaplex_app.responder.markup import Markup, ThoughtFilter, without_markup
from personaplex_app.responder.sentences import SentenceCutter, split_sentences

pytestmark = pytest.mark.unit


def answer_of(pieces, unopened=False):
    thoughts = ThoughtFilter(unopened)
    return "".join(map(thoughts.push, pieces)) + thoughts.finish()


THOUGHTS = [
    ("<think>I must not say it. Rude.</think>We open at nine.", "We open at nine."),
    ("<thinking>\nHm.\n</thinking>\n\nHello.", "\n\nHello."),
    ("<reasoning>a < b</reasoning>Hello.", "Hello."),
    ("<Think>One</Think>A <thought>two</thought>B", "A B"),
    ("[THINK]Hm[/THINK]Hello [1].", "Hello [1]."),
    ("◁think▷Hm◁/think▷Hello", "Hello"),
    ("<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>Hello", "Hello"),
    ("<|START_THINKING|>Hm<|END_THINKING|>Hello", "Hello"),
    ("<|think|>Hm<|/think|>Hello", "Hello"),
    ("<inner_monologue>Hm</inner_monologue>Hello", "Hello"),
    ('<tool_call>\n{"name": "look"}\n</tool_call>Hello', "Hello"),
    ('<think duration="3">Hm</think>Hello', "Hello"),
    ("< think >Hm</ think >Hello", "Hello"),
    ('<details type="reasoning" done="true"><summary>Thought</summary>Hm</details>Hello', "Hello"),
    ("<unused94>thought\nHm<unused95>Hello", "Hello"),
    ("<|channel>thought\nHm<channel|>Hello", "Hello"),
    ("<|python_tag|>look()<|eom_id|>Hello", "Hello"),
    ('Hello[TOOL_CALLS][{"name": "look"}]', "Hello"),
    ('Hello {"name": "look", "arguments": {}}', "Hello "),
    ("We open in {month}.", "We open in {month}."),
    ("<think>never closed", ""),
    ("Is 3 < 5? <b>Yes</b>, and [A] too.", "Is 3 < 5? <b>Yes</b>, and [A] too."),
    ("I think <that> it is", "I think <that> it is"),
    ("1 <", "1 <"),
]


@pytest.mark.parametrize(("stream", "answer"), THOUGHTS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_thoughts_are_kept_back_however_the_stream_is_cut(stream, answer, size):
    assert answer_of([stream[k : k + size] for k in range(0, len(stream), size)]) == answer


def test_thoughts_that_the_template_opened_are_noticed_and_kept_back_from_then_on():
    first = ThoughtFilter()
    assert first.push("Hm, hours.</think>We open") == "We open"
    assert first.unopened
    assert answer_of(["Hm, ", "prices.</th", "ink>Four dollars."], unopened=True) == "Four dollars."
    assert answer_of(["Four ", "dollars."], unopened=True) == "Four dollars."


SENTENCES = [
    "Mr. Lee of Acme Inc. lives at No. 7, St. Anne's Rd., and it costs approx. six dollars.",
    "Dr. A. B. Smith, Ph.D. works with Prof. Jones.",
    "We open at 9 a.m. Monday to Friday.",
    "Bring fruit, e.g. Granny Smith apples.",
    "It is 3.5 km to the U.S. Embassy.",
    "Ask for Ms. Brown or Mrs. White vs. Mr. Black.",
    "It closes on Dec. 24 at 5 p.m. sharp.",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_sentence_is_not_cut_at_an_abbreviation(sentence):
    assert split_sentences(sentence) == [sentence]
    assert split_sentences(f"Hello. {sentence} We thank you.") == ["Hello.", sentence, "We thank you."]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("We close at 9 p.m. The shop too.", ["We close at 9 p.m.", "The shop too."]),
        ("No. I can't. No. 5 is free.", ["No.", "I can't.", "No. 5 is free."]),
        ("It's on Oak St. We like it.", ["It's on Oak St.", "We like it."]),
        ('He said "yes." Then he left!', ['He said "yes."', "Then he left!"]),
        ("One\ntwo.\n\nThree", ["One", "two.", "Three"]),
        ("hello there. how are you?", ["hello there.", "how are you?"]),
        ("Take vitamin C. It helps.", ["Take vitamin C.", "It helps."]),
    ],
)
def test_sentences_end_where_they_end(text, sentences):
    assert split_sentences(text) == sentences


def test_sentence_is_given_as_soon_as_it_is_whole():
    cutter = SentenceCutter()
    assert cutter.push("One. ") == ["One."]
    assert cutter.push("We meet Dr. ") == []
    assert cutter.push("Lee at 9 a.m. ") == []  # the next word decides
    assert cutter.push("The end") == ["We meet Dr. Lee at 9 a.m."]
    assert cutter.finish() == ["The end"]


@given(
    st.lists(st.sampled_from([*SENTENCES, "Yes.", "No. 5 it is.", "- **One** thing.\n"]), max_size=4),
    st.data(),
)
def test_sentences_are_the_same_however_the_stream_is_cut(parts, data):
    text = " ".join(parts)
    cutter = SentenceCutter()
    said = []
    at = 0
    while at < len(text):
        size = data.draw(st.integers(1, 40))
        said += cutter.push(text[at : at + size])
        at += size
    assert [*said, *cutter.finish()] == split_sentences(text)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (
            "If x < 5 you pay nothing, and if y > 7 you pay.",
            "If x < 5 you pay nothing, and if y > 7 you pay.",
        ),
        ("a <b and c> d", "a <b and c> d"),
        ("5 * 3 and 5*3 and 2_000 and snake_case", "5 * 3 and 5*3 and 2_000 and snake_case"),
        ("C# is #1 at 3 > 2", "C# is #1 at 3 > 2"),
        ("**Rye** is *very* ***good***, `a*b_c`.", "Rye is very good, a*b_c."),
        ("**One. Two", "One. Two"),
        ('See [our page](https://a.example/b_(c) "title") now.', "See our page now."),
        ("![A loaf](loaf.png) [like this][2] one[3].", "A loaf like this one."),
        ("<https://a.example/b>", "https://a.example/b"),
        ("Line<br/>one <b>bold</b> <speak>Hi</speak> <|im_end|>", "Line one bold Hi"),
        ("<break time='1s'/>Ready", "Ready"),
        ("Tom &amp; Jerry &lt;3", "Tom & Jerry <3"),
        ("Great! 😀👍🏽 ❤️ It is 20 °C ½", "Great! It is 20 °C ½"),
        ("| Bread | $4 |", "Bread, $4"),
        ("|---|:-:|", ""),
        ("---", ""),
        ("```python", ""),
        ("### Opening hours", "Opening hours"),
        ("> quoted", "quoted"),
        ("- [x] done", "done"),
        ("* star", "star"),
        ("-5 degrees", "-5 degrees"),
        ("12. That is the total.", "12. That is the total."),
        (r"1\. \*not bold\*", "1. *not bold*"),
    ],
)
def test_markup_goes_and_meaning_stays(written, plain):
    assert Markup().plain(written) == plain


def test_markup_numbers_of_a_list_go_and_answers_stay():
    assert without_markup("1. One\n2) Two\n3. Three\n15. Total") == "One\nTwo\nThree\n15. Total"


@given(st.text(st.sampled_from("ab 12<>*_#|`[]()-.&\\\n"), max_size=30))
def test_markup_keeps_every_letter_and_digit_that_is_no_markup(text):
    """Links and tags hide what they point to, and a list hides its numbers; nothing else is lost."""
    if not any(
        mark in text for mark in ("](", "][", "[1", "[2", "<a", "</", "<b", "1.", "2.", "1)", "2)", "&", "|")
    ):
        kept = [c for c in text if c.isalnum()]
        fence = any(line.lstrip().startswith(("```", "~~~")) for line in text.split("\n"))
        assert fence or [c for c in without_markup(text) if c.isalnum()] == kept


def test_reply_text_of_a_broken_stream_ends_with_its_last_whole_sentence():
    reply = _ReplyText(600, ThoughtFilter())
    assert list(reply.push("It is fresh. The rye lo")) == ["It is fresh."]
    assert list(reply.finish(broken=True)) == []
    reply = _ReplyText(600, ThoughtFilter())
    assert list(reply.push("It is fresh. It is good.")) == ["It is fresh."]
    assert list(reply.finish(broken=True)) == ["It is good."]


def test_first_clause_does_not_end_within_an_address():
    cutter = SentenceCutter()
    cutter.push("Mr. Lee of Acme Inc. lives at No. 5, St. Mary's Rd., and it costs approx")
    assert cutter.take_clause() == ""
    cutter.push("imately nothing to visit him, but")
    assert cutter.take_clause().endswith("nothing to visit him,")
