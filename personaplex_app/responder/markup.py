"""Take off what is written for the eye: Markdown, tags, emoji; and what a model thinks before it answers.

Only what surely is markup goes; "x < 5" and "5 * 3" stay.
"""

from __future__ import annotations

import html
import re

_TAG = re.compile(
    r"</?[A-Za-z][\w:-]*(?:\s+[\w:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>]+))*\s*/?>|<\|[^|<>]{0,80}\|>|<!--.*?-->"
)
_LINK = re.compile(
    r"!?\[(?P<words>[^\]\[]*)\](?:\((?:[^()\s]|\([^()]*\))*(?:\s+[\"'][^\"']*[\"'])?\)|\[[^\]]*\])"
)
_FOOTNOTE = re.compile(r"\[\^?\d+\]|【[^】]*】")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]+)>")
_EMPHASIS = re.compile(
    r"(?<![\w\\])(?P<mark>\*{1,3}|_{1,3}|~~)(?=\S)(?P<words>[^*_~]+?)(?<=[^\s\\])(?P=mark)(?!\w)"
)
# what is left of an emphasis that goes on in another sentence
_LOOSE_MARKS = re.compile(
    r"\*{2,}|_{2,}|~~|(?<![\w\\])\*(?=\w)|(?<=[\w.!?,])\*(?!\w)|(?<!\w)_(?=\w)|(?<=\w)_(?!\w)"
)
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!|>~-])")
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u231a-\u23ff\u3030\ufe0e\ufe0f\u200d\u20e3\U000e0020-\U000e007f\u200b\u200c\u2060\ufeff]"
)
# what an actor does, which nobody says: "*smiles* Hello.", "(laughs)"; emphasis within a sentence is said
_STAGE_DIRECTION = re.compile(
    r"(?:^|(?<=[.!?]\s))\*[a-z][^*]{2,60}\*(?=\s+[\"“A-Z]|\s*$)"
    r"|[(\[](?:\w+ )?(?:laugh|smil|sigh|paus|chuckl|clears|nod|whisper|cough|gasp|giggl)[\w ]{0,40}[)\]]"
)
_ROW = re.compile(r"^\s*\|(?P<cells>.*)\|?\s*$")
_RULER = re.compile(r"^[\s|:]*(?:[-=*_][\s|:]*){3,}$|^\s*(?:```|~~~).*$|^[\s|:]*-{3,}[\s|:]*$")
_LINE_MARK = re.compile(r"^\s*(?:#{1,6}\s+|>\s?|[-*+•–]\s+(?:\[[ xX]\]\s+)?)+")
_ITEM = re.compile(r"^\s*(?P<number>\d{1,2})[.)]\s+(?=\S)")
_CODE = re.compile(r"`+([^`]+)`+")


class Markup:
    """Reads the lines of one text without their markup."""

    def __init__(self) -> None:
        self._items = 0

    def plain(self, line: str) -> str:
        """Return one line, or a sentence of it, without markup; "" for one that is nothing else."""
        if _RULER.match(line):
            return ""
        line = _LINE_MARK.sub("", line)
        item = _ITEM.match(line)
        # only a number in sequence is a list's: "12. That's the total." is an answer
        if item and int(item["number"]) == self._items + 1:
            self._items += 1
            line = line[item.end() :]
        row = _ROW.match(line)
        if row:
            line = ", ".join(cell.strip() for cell in row["cells"].split("|") if cell.strip())
        parts = _CODE.split(line)
        # what stands in a code span is kept letter by letter
        parts[::2] = map(_plain, parts[::2])
        return " ".join("".join(parts).replace("`", "").split())


def without_markup(text: str) -> str:
    """Return a text of several lines without its markup."""
    markup = Markup()
    return "\n".join(markup.plain(line) for line in text.splitlines())


def _plain(text: str) -> str:
    text = _AUTOLINK.sub(r"\1", _STAGE_DIRECTION.sub("", text))
    text = _FOOTNOTE.sub("", _LINK.sub(lambda m: m["words"], text))
    text = _TAG.sub(" ", text)
    for _ in range(3):  # bold within italics
        text = _EMPHASIS.sub(lambda m: m["words"], text)
    text = _ESCAPED.sub(r"\1", _LOOSE_MARKS.sub("", text))
    return html.unescape(_EMOJI.sub("", text))


# a call of a tool is no more an answer than a thought is
_NAME = (
    r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reasoning|reason|reflection|scratchpad|analysis|(?:inner_)?monologue"
    r"|(?:tool|function)_?calls?|tool_response)"
)
_OPENS = re.compile(
    rf"(?i)<\s?{_NAME}(?:\s[^<>]*)?>|<details\b[^<>]*>|<unused94>|<\|channel>\s*thought|<\|python_tag\|>|\[TOOL_CALLS\]"
    rf"|\{{\s*\"(?:name|function|tool|tool_calls?)\"\s*:"
    r"|<\|(?:START_)?(?:THINK(?:ING)?|ACTION)\|>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|channel\|>\s*(?:analysis|commentary)\s*<\|message\|>"
)
_CLOSES = re.compile(
    rf"(?i)</\s?{_NAME}\s?>|</details>|<unused95>|<channel\|>|<\|eom_id\|>|<\|(?:END_|/)(?:THINK(?:ING)?|ACTION)\|>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|end\|>"
)
# "<|start|>assistant<|channel|>final<|message|>" stands between thoughts and answer
_HEADER = re.compile(r"(?:<\|start\|>\s*\w+\s*)?<\|channel\|>\s*final\s*<\|message\|>")
_MAY_BEGIN_TAG = re.compile(
    r"[<◁](?:/?[\w:]{0,24}|\|[\w|<>/]{0,60})$|\[/?[A-Z_]{0,11}$|<(?:think|details)\w*\s[^<>]{0,200}$|</?\s?[A-Za-z]{0,12}\s?$|<\|?channel\|?>?\s*t?h?o?u?g?h?$|\{\s*(?:\"\w{0,10}\"?\s*)?$|<\|(?:start|channel)\|>\s*\w*\s*(?:<\|?\w*\|?)?$"
)
_MAX_HELD_CHARS = 40_000
# how models begin to think of what they are asked, and do not speak to who asks
_BEGINS_A_THOUGHT = re.compile(
    r"(?i)\W*(?:(?:okay|ok|alright|all right|hmm|right|so|well|now|first)\b,?\s*)*"
    r"(?:(?:the|this) (?:user|caller|customer|person|human|visitor|question|prompt|message)\b"
    r"|we (?:need to|should|must|are asked|have to)\b|i (?:need to|should|have to|must|am asked|am to)\b"
    r"|let me (?:think|see|figure|work|recall|break|analy[sz]e|consider)\b"
    r"|let's (?:think|see|break|analy[sz]e)|thinking process"
    r"|(?:user|caller|customer)(?:'s)? (?:asks|says|wants|question|query|is)\b"
    r"|analy[sz](?:e|ing) the\b|need to (?:answer|respond|reply)\b)"
)


# another first word than those, or so much that the pattern above has seen all that it asks for
_TELLS_ITS_BEGINNING = re.compile(
    r"(?is)\W*(?:(?!(?:okay|ok|all|alright|hmm|right|so|well|now|first|the|this|we|i|let|user|caller|customer"
    r"|thinking|analy[sz]e|analy[sz]ing|need)\b)\w+\W|\w.{30}|.*[<.!?])"
)


class ThoughtFilter:
    """Lets a model's answer through and keeps its thoughts back, whatever tags they stand in.

    `unopened`: the model's template opens the tag itself, so that an answer begins inside the thoughts; an
    answer that begins as thoughts do is taken for one. The text is given back at the end if no closing tag
    came. After a stray closing tag `unopened` is set, for the next answer's filter.
    """

    def __init__(self, unopened: bool = False) -> None:
        self.unopened = unopened
        self.thought = False
        self._inside = unopened
        self._begins = not unopened
        self._waiting = ""
        self._held = ""

    def push(self, piece: str) -> str:
        """Take the next piece of the stream; return what of it, or of what waited, is the answer's."""
        self._waiting = _HEADER.sub("", self._waiting + piece)
        if self._begins:
            if not _TELLS_ITS_BEGINNING.match(self._waiting):
                return ""  # too little to tell
            self._begins = False
            self.unopened = self._inside = _BEGINS_A_THOUGHT.match(self._waiting) is not None
        answer = ""
        while tag := (_CLOSES if self._inside else _EITHER).search(self._waiting):
            closes = self._inside or _CLOSES.match(tag[0]) is not None
            if closes and not self._inside:
                self.unopened = True
                answer = ""  # what came before in this piece was thought; what was said before is said
            elif not self._inside:
                answer += self._waiting[: tag.start()]
            self._inside = not closes
            self.thought = True
            self._held = ""
            self._waiting = self._waiting[tag.end() :]
        partial = _MAY_BEGIN_TAG.search(self._waiting)
        ready = len(self._waiting) if partial is None else partial.start()
        if self._inside:
            if self.unopened and not self.thought:
                self._held = (self._held + self._waiting[:ready])[:_MAX_HELD_CHARS]
        else:
            answer += self._waiting[:ready]
        self._waiting = self._waiting[ready:]
        return answer

    def finish(self, broken: bool = False) -> str:
        """Return what is left of the answer: the stream has ended. One that was `broken` off within what may
        be thoughts was no answer yet.
        """
        if broken and self._held and self._inside:
            self.thought = True
            self._held = ""
        rest = self._held + self._waiting if not self._inside or self._held else ""
        self._waiting = self._held = ""
        return rest


_EITHER = re.compile(f"(?:{_OPENS.pattern})|(?:{_CLOSES.pattern})".replace("(?i)", ""), re.IGNORECASE)
