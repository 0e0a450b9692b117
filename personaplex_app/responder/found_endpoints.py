"""Look for language models that run on this machine, to offer them; nothing is asked of them unless set."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

_WAIT_S = 0.3
_SERVERS = (("Ollama", 11434), ("LM Studio", 1234))


@dataclass(frozen=True)
class FoundEndpoint:
    """A server that answered on this machine, and the name of one of its models, "" if it told none."""

    server: str
    url: str
    model: str

    @property
    def offer(self) -> str:
        """What its owner can do, as a sentence."""
        model = f" and PERSONAPLEX_LLM_MODEL={self.model}" if self.model else ""
        return (
            f"{self.server} was found on this machine; set PERSONAPLEX_LLM_URL={self.url}{model} to let its"
            " model answer in this voice."
        )


def find_endpoints(servers: tuple[tuple[str, int], ...] = _SERVERS) -> list[FoundEndpoint]:
    """Return the servers that list their models on this machine's loopback address. No name is looked up."""
    found = []
    for server, port in servers:
        url = f"http://127.0.0.1:{port}/v1"
        try:
            # trust_env would send it to a proxy of the environment
            answer = httpx.get(f"{url}/models", timeout=_WAIT_S, trust_env=False)
            models = answer.raise_for_status().json()["data"]
            names = [each["id"] for each in models if isinstance(each["id"], str)]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            continue
        # the first one that can chat: both list models for embeddings too
        name = next((each for each in names if "embed" not in each.lower()), "")
        found.append(FoundEndpoint(server, url, name if name.isprintable() and " " not in name else ""))
    return found
