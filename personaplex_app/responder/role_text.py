"""Read a role as people paste it: in tags, as a chat message, as Markdown."""

from __future__ import annotations

import re

from ..json_input import read_json
from .markup import without_markup

_TAGS = re.compile(
    r"(?i)</?\s*system\s*>|<\|im_start\|>\s*\w*|<\|(?:system|im_end|eot_id|start_header_id|end_header_id)\|>"
    r"|<<\s*/?\s*SYS\s*>>|\[/?(?:INST|SYS|SYSTEM)\]|\A\s*(?:system(?: prompt)?|role prompt)\s*:"
)
_HEADING = re.compile(r"(?m)^\s{0,3}#{1,6}[ \t]+(?P<title>.+?)[ \t]*#*[ \t]*$\n*(?P<next>.*)$")
# headings that say nothing by themselves
_PLAIN_HEADING = re.compile(
    r"(?i)(?:your |the )?(?:role|persona|identity|character|instructions?|rules|task|goals?|guidelines|prompt"
    r"|system|system prompt|personality|about you|style|tone)\W*"
)
_FACTS = re.compile(r"(?i)(?:facts|information|info|details|notes|knowledge|context|background)\W*")


def without_tags(role: str) -> str:
    """Return a role without the tags of the form that it was pasted in."""
    return _TAGS.sub(" ", _content(role)).strip()


def plain_role(role: str) -> str:
    """Return a role as plain text: without tags and markup, each heading before what it is about."""
    return without_markup(_HEADING.sub(_under_heading, without_tags(role))).strip()


def _content(role: str) -> str:
    """Return what a role says that is given as a message, or messages, of a chat API."""
    if not role.lstrip().startswith(("{", "[")):
        return role
    try:
        data = read_json(role)
    except ValueError:
        return role
    messages = data.get("messages", [data]) if isinstance(data, dict) else data
    if not isinstance(messages, list):
        return role
    texts = [
        each["content"]
        for each in messages
        if isinstance(each, dict)
        and each.get("role") in ("system", "developer")
        and isinstance(each.get("content"), str)
    ]
    return "\n".join(texts) or role


def _under_heading(match: re.Match[str]) -> str:
    title = match["title"].strip("*_` ")
    following = match["next"]
    if _FACTS.fullmatch(title):
        return f"Information:\n{following}"
    of_list = re.match(r"\s*(?:[-*+•#|]|\d+[.)])", following) or ": " in following
    if _PLAIN_HEADING.fullmatch(title) or of_list or not following.strip():
        return following
    begins = r"^(?:From|Between|Daily|Every|At|Until|In|Only|By)\b"
    following = re.sub(begins, lambda word: word[0].lower(), following.strip())
    return f"{title.rstrip(':')}: {following}"
