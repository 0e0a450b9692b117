"""A language model as judge of a conversation, at any OpenAI-compatible endpoint.

Its raw reply is stored with its score, so that the score can be checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

import httpx

from ..responder.chat_api import LlmSettings
from .scenarios import SpokenScenario

MAX_REPLY_BYTES = 65_536
MAX_SAID_CHARS = 4_000
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
    """Sends conversations to one endpoint, one a request. May be shared by threads."""

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        # trust_env would add proxies and .netrc logins from the environment
        self._client = httpx.Client(
            timeout=httpx.Timeout(settings.total_s), headers=settings.headers, trust_env=False
        )

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
        body = {
            "messages": [{"role": "system", "content": PROMPT}, {"role": "user", "content": question}],
            # as repeatable as the endpoint allows
            "temperature": 0,
        }
        if self._settings.model:
            body["model"] = self._settings.model
        try:
            raw = self._fetch(body)
        except httpx.TimeoutException:
            return self._judgement("", None, "the judge took too long")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            status = (
                f"status {error.response.status_code}"
                if isinstance(error, httpx.HTTPStatusError)
                else "the connection failed"
            )
            return self._judgement("", None, f"the judge could not be asked ({status})")
        try:
            content = json.loads(raw)["choices"][0]["message"]["content"]
            # models like to put text or a code fence around the JSON that they were asked for
            score = float(json.loads(re.search(r"\{.*\}", content, re.DOTALL)[0])["score"])  # type: ignore[index]
        except (ValueError, TypeError, KeyError, IndexError):
            return self._judgement(raw, None, "the judge's reply holds no score")
        if not 1 <= score <= 5:
            return self._judgement(raw, None, "the judge's score is not from 1 to 5")
        return self._judgement(raw, score)

    def _fetch(self, body: dict) -> str:
        reply = b""
        with self._client.stream("POST", self._settings.endpoints[0], json=body) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                reply += chunk
                if len(reply) > MAX_REPLY_BYTES:
                    raise httpx.StreamError("too long")
        return reply.decode("utf-8", "replace")

    def _judgement(self, raw: str, score: float | None, problem: str = "") -> Judgement:
        return Judgement(self.model, self.prompt_sha256, raw, score, problem)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
