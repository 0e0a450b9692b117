"""Choose the language model that answers in the embedded engine, or none: by the settings and the host."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingsError, WeightsError
from ..model.hub_repo import hub_access
from ..platform_detection import this_platform
from ..settings import Settings
from .chat_api import LlmSettings
from .local.conversion import WEIGHTS_FILE
from .local.model import LocalModel
from .local.weights import SMALL_MODEL, converted, describe, fetch, folder_of

HUB_ROUTER = "https://router.huggingface.co/v1"
HUB_ROUTER_MODEL = "Qwen/Qwen2.5-7B-Instruct"
# hosts that are there for the app alone, with the memory and the line for it
_OWN_HOSTS = ("colab", "space", "zerogpu")


@dataclass(frozen=True)
class ModelChoice:
    """Which responder answers: "rules", "endpoint", "hub" or "local"; and its description for people."""

    name: str
    description: str


def choose_model(settings: Settings) -> ModelChoice:
    """Return the responder for these settings on this host. Raises: SettingsError when it lacks something."""
    name = settings.responder
    if name == "auto":
        own_host = this_platform().name in _OWN_HOSTS
        name = "endpoint" if settings.llm_url else "local" if own_host or settings.local_model else "rules"
    if name == "endpoint":
        if not settings.llm_url:
            raise SettingsError(
                "--responder endpoint needs the endpoint's address; set PERSONAPLEX_LLM_URL, such as"
                " http://localhost:11434/v1 for Ollama."
            )
        return ModelChoice(name, f"the language model {settings.llm_model or 'of its choice'} at an endpoint")
    if name == "hub":
        if not hub_access(settings).any_token():
            raise SettingsError(
                f"--responder hub asks a model of the Hub with your token, and there is none;"
                f" {this_platform().token_step}."
            )
        return ModelChoice(name, f"{settings.llm_model or HUB_ROUTER_MODEL} by the Hub's router")
    if name == "local":
        model = settings.local_model or describe(SMALL_MODEL, settings.data)
        return ModelChoice(name, f"a language model in this process: {model}")
    return ModelChoice(name, "rules over the role prompt; no language model")


def make_model(settings: Settings) -> LlmSettings | LocalModel | None:
    """Return the chosen model, None for the rules alone; a local one is loaded once it is started."""
    name = choose_model(settings).name
    if name == "endpoint":
        return LlmSettings(url=settings.llm_url, key=settings.llm_key, model=settings.llm_model)
    if name == "hub":
        token = hub_access(settings).any_token() or ""
        return LlmSettings(HUB_ROUTER, token, settings.llm_model or HUB_ROUTER_MODEL)
    if name == "local":
        return LocalModel(lambda: _local_folder(settings), asked_for=settings.responder == "local")
    return None


def _local_folder(settings: Settings) -> Path:
    if not settings.local_model:
        return fetch(SMALL_MODEL, settings.data, hub_access(settings))
    source = Path(settings.local_model).expanduser().resolve()
    try:
        weights = (source / WEIGHTS_FILE).stat()
    except OSError as error:
        raise WeightsError(
            f"There is no {WEIGHTS_FILE} in {source}; set PERSONAPLEX_LOCAL_MODEL to a folder that holds a"
            " Llama or Qwen2 checkpoint with its tokenizer."
        ) from error
    # other weights under the same name are another model
    mark = hashlib.sha256(f"{source} {weights.st_size} {weights.st_mtime_ns}".encode()).hexdigest()[:12]
    return converted(source, folder_of(SMALL_MODEL, settings.data).with_name(f"{source.name}-{mark}"))
