"""Talks of several turns: what is remembered, taken up again, corrected, and played as a role."""

import re

import pytest

from personaplex_app.engine.contract import SessionConfig
from personaplex_app.personas import find, load_personas
from personaplex_app.responder.dialogue import DIALOGUE_FILE, Dialogue
from personaplex_app.responder.memory import given_name
from personaplex_app.responder.numbers import figures
from personaplex_app.responder.rules import RuleResponder, make_responder
from personaplex_app.speech.spoken_form import speakable
from personaplex_app.yaml_fields import load_yaml


class Talk:
    """A talk in which everything is heard to its end, unless cut."""

    def __init__(self, persona: str, prompt: str | None = None) -> None:
        self.responder = RuleResponder(prompt or find(persona).prompt)
        self.greeting = self.responder.greet()
        self.responder.record_played(self.greeting, False)

    def say(self, text: str, heard_words: int | None = None) -> str:
        answer = " ".join(self.responder.reply(text))
        played = answer if heard_words is None else " ".join(answer.split()[:heard_words])
        self.responder.record_played(played, heard_words is not None)
        return answer


@pytest.mark.parametrize("persona", load_personas(), ids=lambda p: p.name)
def test_responder_every_persona_greets_in_role_and_answers_its_examples(persona):
    talk = Talk(persona.name)
    name = re.search(r"your name is ([A-Z]\w+)|Your name is (\w+)", persona.prompt)
    if name:
        assert (name[1] or name[2]) in talk.greeting
    for example in persona.examples:
        answer = talk.say(example)
        assert answer.strip()
        assert not re.search(r"notes don't cover|isn't in my notes|didn't catch", answer), (
            f"{example!r}: {answer!r}"
        )
        # a game counts, keeps a score and knows things itself
        assert persona.family == "Games" or figures(answer) <= figures(persona.prompt) | figures(example)


def test_responder_greets_with_name_and_company():
    assert (
        Talk("waste-collection").greeting
        == "Hi, this is Ayelen from CityClean Services. How can I help you today?"
    )


@pytest.mark.parametrize(
    ("persona", "style"),
    [
        ("customer-service", "service"),
        ("operations-assistant", "briefing"),
        ("language-tutor", "language"),
        ("interview-coach", "interview"),
        ("storyteller", "story"),
        ("wise-teacher", "teacher"),
        ("lesson-tutor", "lesson"),
        ("angry-customer", "angry"),
        ("product-demo", "demo"),
        ("sales-coach", "sales"),
        ("astronaut", "mission"),
        ("assistant", "assistant"),
        ("chat", "casual"),
        ("casual-conversation", "casual"),
    ],
)
def test_responder_reads_the_style_from_the_prompt_alone(persona, style):
    assert RuleResponder(find(persona).prompt).style == style


def test_responder_remembers_name_and_last_question():
    talk = Talk("waste-collection")
    assert "haven't told me your name" in talk.say("What's my name?")
    assert "Tom" in talk.say("Hi, my name is Tom.")
    assert "eight dollars" in talk.say("And how much is the compost bin?")
    assert "how much is the compost bin" in talk.say("What did I just ask?")
    assert "Tom" in talk.say("Do you remember my name?")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My name is Sarah.", "Sarah"),
        ("hi my name is tom", "Tom"),
        ("Hello, I'm Ayse, how much is it?", "Ayse"),
        ("Call me Bo", "Bo"),
        ("I'm fine.", ""),
        ("I'm looking for a bin", ""),
        ("My name is not important", ""),
        ("I'm Spanish", ""),
    ],
)
def test_given_name_is_found_only_where_one_is_given(text, name):
    assert given_name(text) == name


def test_responder_follow_ups_keep_the_subject():
    talk = Talk("restaurant")
    assert "thirteen dollars" in talk.say("How much is the pad thai?")
    assert "thirteen dollars fifty" in talk.say("What about the drunken noodles?")
    assert talk.say("Are you open on Tuesday?").startswith("Yes")
    assert talk.say("And on Monday?").startswith("No")
    talk = Talk("waste-collection")
    assert "every Tuesday" in talk.say("When is the general waste collected?")
    talk.say("Tell me about the compost bin.")
    assert "eight dollars" in talk.say("And how much is that?")


def test_responder_takes_a_correction():
    talk = Talk("waste-collection")
    assert "five dollars" in talk.say("How much is a second recycling bin?")
    assert "eight dollars" in talk.say("No, I meant the compost bin.")


def test_responder_repeats_what_it_said():
    talk = Talk("waste-collection")
    first = talk.say("How much is the compost bin?")
    assert talk.say("Sorry, could you repeat that?") == first


def test_responder_says_as_i_said_only_of_what_was_heard():
    talk = Talk("waste-collection")
    talk.say("How much is the compost bin?", heard_words=3)
    assert not talk.say("How much is the compost bin?").startswith("As I said")
    assert talk.say("How much is the compost bin?").startswith("As I said")


def test_responder_unheard_note_counts_as_not_told():
    talk = Talk("astronaut")
    first = talk.say("What's happening?", heard_words=2)
    assert talk.say("Status report please.").split(". ")[0] == first.split(". ")[0]


def test_responder_reply_that_was_never_heard_did_not_happen():
    talk = Talk("waste-collection")
    list(talk.responder.reply("My name is Tom"))
    list(talk.responder.reply("My name is Tom and I"))
    assert "haven't told me" in talk.say("What's my name?")


def test_responder_reply_made_while_another_is_played_forgets_neither():
    talk = Talk("waste-collection")
    first = list(talk.responder.reply("My name is Tom."))
    second = list(talk.responder.reply("How much is the compost bin?"))
    talk.responder.record_played(" ".join(" ".join(first).split()[:3]), True)
    talk.responder.record_played(" ".join(second), False)
    assert "compost bin" in talk.say("What did I just ask?")
    assert "Tom" in talk.say("What's my name?")


def test_responder_reply_may_be_closed_early():
    talk = Talk("storyteller")
    reply = talk.responder.reply("Tell me a story about the sea.")
    first = next(reply)
    reply.close()
    talk.responder.record_played(first, True)
    assert talk.say("Go on.").startswith("One grey morning Mira")


def test_responder_story_goes_on_where_it_was_cut():
    talk = Talk("storyteller")
    story = talk.say("Tell me a story about a fox called Bella.", heard_words=20)
    assert "a fox called Bella" in story
    talk.say("Wait.")
    rest = talk.say("Go on.")
    assert story.endswith(rest)
    assert rest != story
    assert rest.startswith("Every evening Bella")


def test_responder_tells_other_stories_when_asked_for_another():
    talk = Talk("storyteller")
    stories = [talk.say("Tell me a story.")] + [talk.say("Another one, please.") for _ in range(4)]
    assert len(set(stories)) == 5
    assert "teapot" in talk.say("Tell me a story about a teapot.")


def test_responder_order_is_read_back():
    talk = Talk("restaurant")
    assert "fourteen dollars" in talk.say("I'd like a green curry, please.")
    assert "five dollars" in talk.say("And a mango lassi.")
    assert talk.say("No, that's all.").startswith("So that's the green curry and the mango lassi")


def test_responder_remembers_what_people_tell_about_themselves():
    talk = Talk("chat")
    talk.say("I live in Oslo.")
    talk.say("I work as a nurse in a hospital.")
    assert "you live in Oslo" in talk.say("Where do I live?")
    assert "nurse" in talk.say("What do I do for work?")


def test_responder_small_talk_asks_back_and_does_not_repeat_itself():
    talk = Talk("chat")
    answers = [
        talk.say(t)
        for t in (
            "I like cooking",
            "I cooked soup for dinner",
            "My dog is funny",
            "I was at the beach",
            "I feel odd somehow",
        )
    ]
    assert all(a.endswith(("?", "more.")) for a in answers)
    assert len(set(answers)) == len(answers)


def test_responder_is_honest_about_being_a_program():
    for text in ("Are you a robot?", "Am I talking to a real person?", "Are you human?", "Is this an AI?"):
        answer = Talk("waste-collection").say(text)
        assert "program" in answer or "built-in voice" in answer
        assert "Ayelen" in answer


def test_responder_does_not_catch_noise():
    for text in ("", "   ", "...", "[Music]", "(coughing)", "the the the the the the the", "♪"):
        answer = Talk("waste-collection").say(text)
        assert re.search(r"didn't catch|missed that", answer), f"{text!r}: {answer!r}"


def test_responder_stays_polite_thanks_and_takes_leave():
    talk = Talk("waste-collection")
    assert "sorry" in talk.say("You stupid idiot.").lower()
    assert "welcome" in talk.say("Thank you very much.")
    assert talk.say("Okay thanks, goodbye!").startswith("Goodbye")


def test_responder_angry_customer_complains_and_calms_down():
    talk = Talk("angry-customer")
    assert "unhappy" in talk.greeting
    assert "coffee machine" in talk.say("Good morning, what happened?")
    assert "calm down" in talk.say("Please calm down.")
    assert "apology" in talk.say("I'm so sorry about this.")
    assert "replacement" in talk.say("What can I do for you?")
    talk.say("I'll send you a replacement and it arrives on Friday.")
    assert re.search("appreciate|helpful|Thank", talk.say("Yes, you'll get it within two days."))


def test_responder_interview_coach_asks_in_turn_and_gives_feedback():
    talk = Talk("interview-coach")
    first = talk.say("I'm ready, let's start.")
    assert "yourself" in first
    short = talk.say("I am a baker.")
    assert re.search("short|brief", short)
    assert "?" in short or "Tell me" in short
    vague = talk.say("We were a big team and everybody worked very hard on the new system for a long time.")
    assert "yourself" in vague
    asked = [talk.say("Next question, please.") for _ in range(3)]
    assert len(set(asked)) == 3


def test_responder_tutor_teaches_idea_by_idea_and_praises_a_good_recall():
    talk = Talk("lesson-tutor")
    assert "Why Ice Floats" in talk.greeting
    assert "Density" in talk.say("Yes, let's start.")
    assert re.search("Exactly|Very good", talk.say("It's how much mass fits into a given space."))
    assert "The point was" in talk.say("Maybe something about boats and fish swimming.")


def test_responder_language_tutor_praises_a_near_enough_phrase():
    talk = Talk("language-tutor")
    assert "hola" in talk.say("Let's start.")
    assert re.search("Very good|Well done", talk.say("Ola!"))
    assert "buenos días" in talk.say("Next one, please.")
    assert re.search("Nice try|Almost", talk.say("Bananas are yellow"))


def test_responder_prospect_does_not_ask_what_was_told():
    talk = Talk("product-demo")
    answers = [talk.say("It costs five hundred dollars a month and it is quick.") for _ in range(3)]
    assert not any("What does it cost" in a for a in answers)
    assert len(set(answers)) == 3


def test_responder_without_notes_never_names_a_figure():
    talk = Talk("", prompt="You are a friendly neighbour called Bob.")
    for text in (
        "How much is a ticket?",
        "How many people live in China?",
        "How old are you?",
        "When was Rome built?",
    ):
        assert not figures(talk.say(text)), text


@pytest.mark.parametrize(
    "prompt",
    [
        "x",
        "?",
        "Information:",
        "You are.",
        "1 2 3",
        "- \n- \n",
        "a" * 2000,
        "your name is",
        "🙂" * 50,
        "You work for . ; : ,",
    ],
)
def test_responder_odd_prompts_still_talk(prompt):
    talk = Talk("", prompt=prompt)
    assert talk.greeting
    for text in (
        "Hello",
        "What's your name?",
        "How much is it?",
        "Are you open on Monday?",
        "Tell me a story",
        "Thanks, bye",
    ):
        assert talk.say(text)


@pytest.mark.slow
def test_responder_long_talk_stays_bounded():
    talk = Talk("chat")
    for k in range(200):
        talk.say(f"I like word{k} and I saw {k} birds.")
    memory = talk.responder._memory
    assert (
        max(
            len(memory.questions),
            len(memory.replies),
            len(memory.statements),
            len(memory.user_texts),
            len(memory.figures) // 10,
        )
        <= 40
    )


def test_responder_guard_drops_a_sentence_with_a_foreign_figure(tmp_path):
    responder = make_responder(
        SessionConfig("natural", "You work for Crumb which is a bakery. Information: A loaf is $4.")
    )
    responder._dialogue.leads["unclear"]  # the lines are there
    responder._style.lines["unknown"] = ("That is ninety dollars. Ask me about loaves.",)
    assert list(responder.reply("How much is a spaceship?")) == ["Ask me about loaves."]
    responder.close()
    responder.close()


def test_dialogue_file_holds_no_figure():
    def texts(node):
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            for key, value in node.items():
                if key not in ("when", "lacks", "cues", "known"):
                    yield from texts(value)
        elif isinstance(node, list):
            for value in node:
                yield from texts(value)

    spoken = list(texts(load_yaml(DIALOGUE_FILE)))
    assert len(spoken) > 300
    assert [t for t in spoken if figures(t)] == []
    assert Dialogue.load().styles


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("$8/month", "eight dollars a month"),
        ("$65/4 hours", "sixty-five dollars for four hours"),
        ("$9.75", "nine dollars seventy-five"),
        ("$1,250 per item", "one thousand two hundred and fifty dollars an item"),
        ("11:30 am to 10 p.m.", "eleven thirty AM to ten PM."),
        ("April 12th", "April twelfth"),
        ("call 555-0142", "call five five five, zero one four two"),
        ("a 3-day delay, 10%", "a three-day delay, ten percent"),
        ("5-7 days", "five to seven days"),
        ("order number 7741", "order number seven seven four one"),
        ("since 1998", "since nineteen ninety-eight"),
        ("2.1 meters", "two point one meters"),
    ],
)
def test_speakable_writes_figures_as_they_are_said(written, said):
    assert speakable(written) == said
    assert figures(written) == figures(said)


def test_figures_are_the_same_in_digits_and_words():
    assert figures("eight dollars") == figures("$8") == {8}
    assert figures("two hundred and forty") == {240}
    assert figures("one of them came first") == frozenset()
    assert figures("one dollar") == {1}
    assert figures("at seven thirty PM") == figures("at 7:30 pm") == {7, 30}


OTHER_JSON = (
    "[" * 2000,
    '{"messages": 5}',
    '{"messages": null}',
    '{"messages": {"role": "system"}}',
    '["\\ud800"]',
    '{"role": "system", "content": "\\ud800"}',
    '[{"role": "system", "content": 1e999}]',
)


@pytest.mark.parametrize("prompt", OTHER_JSON)
def test_responder_role_that_is_some_other_json_is_a_role_like_any(prompt):
    assert Talk("assistant", prompt).say("What can you do?")
