"""A language model as judge of a conversation, at any OpenAI-compatible endpoint.

Its raw reply is stored with its score, so that the score can be checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace

from ..responder.chat_api import ChatApi, LlmSettings
from ..responder.language_model import LlmFailed, Message
from .scenarios import SpokenScenario

MAX_REPLY_CHARS = 65_536
MAX_REPLY_TOKENS = 400
MAX_SAID_CHARS = 4_000
_OBJECT = re.compile(r"\{[^{}]*\}")
PROMPT = (
    "You judge a spoken agent. You get its role, what the user said, and what the agent said. Ignore"
    " spelling, cut-off words and timing: the text comes from a live talk. Judge whether the agent answered"
    ' what was asked, correctly by its role, and stayed in its role. Reply with JSON alone: {"score": N,'
    ' "reason": "one sentence"}, N from 1 (wrong, or out of its role) to 5 (fully right).'
)


@dataclass(frozen=True)
class Judgement:
    """The judge's verdict. Where there is no usable score, `problem` says why; the raw reply is kept
    anyway.
    """

    model: str
    prompt_sha256: str
    raw_reply: str
    score: float | None
    problem: str = ""


class Judge:
    """Sends conversations to one endpoint, one a request, in whatever dialect it takes. May be shared by
    threads.
    """

    def __init__(self, settings: LlmSettings) -> None:
        # as repeatable as the endpoint allows; its first words may take as long as its last
        self._settings = replace(
            settings, temperature=0.0, first_token_s=settings.total_s, max_tokens=MAX_REPLY_TOKENS
        )
        # what one has learnt of the endpoint serves whoever asks next; one thread uses each at a time
        self._idle: list[ChatApi] = []

    @property
    def model(self) -> str:
        """The model's name, or a phrase that the endpoint chooses it."""
        return self._settings.model or "the endpoint's own choice"

    @property
    def prompt_sha256(self) -> str:
        """The hash of the instructions: scores under different prompts cannot be compared."""
        return hashlib.sha256(PROMPT.encode()).hexdigest()

    def ask(self, spoken: SpokenScenario, role: str, agent_text: str) -> Judgement:
        """Return the verdict on a conversation.

        Errors go to the judgement's `problem` and are not raised, so that a run survives a failing judge.
        """
        user_text = " / ".join(each.text for each in spoken.happened if each.text)
        question = (
            f"ROLE: {role}\n\nUSER: {user_text}\n\nAGENT:"
            f" {agent_text[:MAX_SAID_CHARS] or '(it said nothing)'}"
        )
        messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": question}]
        chat = self._idle.pop() if self._idle else ChatApi(self._settings)
        try:
            raw, score = _asked(chat, messages)
            if score is None and chat.cut_short and chat.make_room_for_thoughts():
                raw, score = _asked(chat, messages)
        except LlmFailed as error:
            return self._judgement("", None, f"the judge could not be asked ({error})")
        finally:
            self._idle.append(chat)
        if score is None:
            return self._judgement(raw, None, "the judge's reply holds no score")
        if not 1 <= score <= 5:
            return self._judgement(raw, None, "the judge's score is not from 1 to 5")
        return self._judgement(raw, score)

    def _judgement(self, raw: str, score: float | None, problem: str = "") -> Judgement:
        return Judgement(self.model, self.prompt_sha256, raw, score, problem)

    def close(self) -> None:
        """Close the connections."""
        for chat in self._idle:
            chat.close()


def _asked(chat: ChatApi, messages: list[Message]) -> tuple[str, float | None]:
    """Return a reply and the score that it holds. Raises: LlmFailed."""
    raw = ""
    for piece in chat.pieces(messages):
        raw += piece
        if len(raw) > MAX_REPLY_CHARS:
            break
    # models like to put text, thoughts or a code fence around the JSON that they were asked for
    for found in reversed(_OBJECT.findall(raw)):
        try:
            return raw, float(json.loads(found)["score"])
        except (ValueError, TypeError, KeyError):
            continue
    return raw, None
