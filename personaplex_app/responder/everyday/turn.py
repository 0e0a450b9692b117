"""One user turn in normal form: contractions written out, without the politeness around a request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

_CONTRACTIONS = (
    (re.compile(r"\bcan't\b|\bcan not\b"), "cannot"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bshan't\b"), "shall not"),
    (re.compile(r"\blet's\b"), "let us"),
    (re.compile(r"\bgonna\b"), "going to"),
    (re.compile(r"\bwanna\b"), "want to"),
    (re.compile(r"\bgotta\b"), "have to"),
    (re.compile(r"\bgimme\b"), "give me"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(i)'m\b"), r"\1 am"),
    (re.compile(r"\b(you|we|they|who|what|where|how)'re\b"), r"\1 are"),
    (re.compile(r"\b(it|he|she|that|there|here|what|who|where|when|how|why|everything|name)'s\b"), r"\1 is"),
    (re.compile(r"\b(\w+)'ve\b"), r"\1 have"),
    (re.compile(r"\b(\w+)'ll\b"), r"\1 will"),
    (re.compile(r"\b(i|you|he|she|we|they|it|that)'d\b"), r"\1 would"),
)
_FILLERS = re.compile(
    r"^(?:(?:(?:hey|hi|hello|good (?:morning|afternoon|evening)|morning) \w+(?: \w+)?(?=,)|(?:hi|hello"
    r"|hey) there"
    # "Mrs. Baker? I need some advice."
    r"|(?:(?:mr|mrs|ms|dr|prof)\.? )?(?!(?:why|what|how|when|where|who|which|really|pardon|huh|ready"
    r"|free)\b)\w+(?=\? \w)"
    r"|well|okay|ok|k|um+|uh+|er+|hm+|so|and|but|oh|ah|hey|hi|hello|please|alright|all right|right|yes"
    r"|yeah"
    r"|yep|no|nope|sorry|excuse me|thanks|thank you|great|cool|good|nice|now|then|actually|by the way|listen"
    r"|look|just"
    r"|also|anyway|maybe|perfect|fine|sure|one more thing|another question|one question|a question"
    r"|quick question)"
    r"(?:[,.!;:?]\s*|\s+|$))+"
)
# fillers that are never the point of a turn themselves
_LIGHT_FILLERS = re.compile(
    r"^(?:(?:well|okay|ok|um+|uh+|er+|hm+|so|and|but|oh|ah|alright|all right|right|great|perfect|yes|no|then"
    r"|super)\s+)+"
)
_LEADS = re.compile(
    r"^(?:(?:can|could|would|will) you (?:please |maybe |quickly |just |kindly )*(?:tell|explain to"
    r"|remind) me"
    r"|(?:please )?tell me|do you (?:happen to |by any chance )?(?:know|remember)|any idea|have you any idea"
    r"|i (?:would like|want|need|would love) to know|i was wondering|i wonder|let me ask you(?: something)?"
    r"|can i ask(?: you)?|may i ask(?: you)?|i have a question|my question is|what i (?:want"
    r"|would like) to know is"
    r"|does anybody know|guess)[,.:;]? (?=\w)"
)
_COULD_YOU = re.compile(
    r"^(?:(?:can|could|would|will) you|would you mind|i (?:would like|want|need) you to|you (?:can|could"
    r"|should|may)"
    r"|why do you not|try to|are you able to|do you mind|let us|may i ask you to|i would like to|i want to"
    r"|can we|could we|shall we)(?: please| maybe| just| kindly| quickly| again)* "
)
_TAILS = re.compile(
    r"(?:[,.!?; ]+(?:please|for me|thanks|thank you|right now|now|then|if you can|if you could|if possible"
    r"|today"
    r"|again please|my friend|dear|buddy|okay|ok|by the way|to me|exactly|will you|would you|could you"
    r"|can you))+$"
)


# how somebody breaks in who then asks something
_BREAKS_IN = re.compile(
    r"(?i)^(?:(?:wait(?: a (?:moment|minute|second))?|hang on|hold on|stop|sorry(?: to (?:cut|break) in"
    r"|to interrupt)?"
    r"|excuse me|quick(?:ly)?|sh+h*|no|ha|haha|oh|okay|ok|all right|enough|that's enough|thanks|listen"
    r"|one more thing(?: before [\w ]+)?)"
    r"\b[,.!… -]*)+(?=[\w'].{9,}\?$|(?:(?:only|just) (?:the|your)|(?:just )?tell me)\b.{4,})"
)
_BREAKS_OFF = re.compile(
    r"(?i)\b(?:wait|hang on|hold on|stop|quick(?:ly)?|sorry to|enough|one more thing)\b|^(\w+)[,.! ]+\1\b"
)
# where a second question begins
_SECOND = re.compile(
    r"(?i)(?:,? and |, |[?.!] (?:and |oh,? )?)(?=(?:how (?:much|many|long|far|old|do|can|is|are|cold"
    r"|warm)|what|when|where|who"
    r"|which|why|is|are|do|does|can|could|will|may)\b)"
)
_ASKS_FIRST = re.compile(
    r"(?i)^(?:(?:hi|hello|hey|so|okay|ok|well|sorry|please|great|and|but|oh|right|thanks)[,.! ]+)*(?:how"
    r"|what|when|where|who"
    r"|which|why|what's|who's|when's|where's|how's|is|are|do|does|can|could|will|would|may)\b"
)
_LEAST_ASKED = 3


def without_break_in(text: str) -> str:
    """Return a question without the words by which the user broke in: "Wait, hold on, how long is it?"."""
    found = _BREAKS_IN.match(text)
    return text[found.end() :] if found and _BREAKS_OFF.search(found[0]) else text


def questions_in(text: str) -> list[str]:
    """Return the two questions that are asked in one breath, or the text as it is."""
    found = _SECOND.search(text)
    if not found or not text.endswith("?") or not _ASKS_FIRST.match(text):
        return [text]
    parts = [text[: found.start()].rstrip(" ,.?!") + "?", text[found.end() :]]
    short = any(len(part.split()) < _LEAST_ASKED for part in parts)
    return [text] if short or _SECOND.search(parts[1]) else parts


@dataclass(frozen=True)
class Turn:
    """What the user said. `question`: it asks something; `fits` is how well the best fact covers it."""

    text: str
    question: bool = False
    fits: float = 0.0

    @cached_property
    def plain(self) -> str:
        """The text in lower case, with contractions written out and marks reduced to . , ? !"""
        text = " ".join(self.text.lower().replace("’", "'").split())
        for pattern, full in _CONTRACTIONS:
            text = pattern.sub(full, text)
        return re.sub(r"[^\w\s'.,?!+*/×÷%$€£°:=^-]", " ", text).strip()

    @cached_property
    def bare(self) -> str:
        """The plain text without marks."""
        return " ".join(re.sub(r"[.,?!;:]+(?=\s|$)", " ", self.plain).split())

    @cached_property
    def ask(self) -> str:
        """The plain text without fillers and politeness before and after it, and without its last mark."""
        text = _ends_cut(self.plain)
        without = _FILLERS.sub("", text)
        text = without or text
        text = _FILLERS.sub("", _LEADS.sub("", text)) or text
        return _ends_cut(_TAILS.sub("", text)) or _ends_cut(self.plain)

    @cached_property
    def do(self) -> str:
        """`ask` without "could you" and the like: the request as an imperative."""
        text = _COULD_YOU.sub("", self.ask)
        return _COULD_YOU.sub("", text) or self.ask

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms in which patterns look for a request: without politeness, as an imperative, as said."""
        said = _TAILS.sub("", _LIGHT_FILLERS.sub("", self.bare)) or self.bare
        return tuple(dict.fromkeys((self.ask, self.do, said, self.bare)))

    @property
    def words(self) -> int:
        return len(self.bare.split())

    def search(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Return where a pattern is found in one of the forms of the turn."""
        return next((m for form in self.forms if (m := pattern.search(form))), None)


def _ends_cut(text: str) -> str:
    return text.strip(" .,!?;:")
