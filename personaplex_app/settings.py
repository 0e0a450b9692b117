"""Everything that can be set, read once: `PERSONAPLEX_*` environment variables, overridden by flags."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from .addresses import EVERY_PEER, Origin, plain_host, plain_network, plain_origin
from .errors import UsageError, shorten

ENV_PREFIX = "PERSONAPLEX_"
ENGINES = ("auto", "personaplex", "remote", "classic", "echo")
RESPONDERS = ("auto", "rules", "endpoint", "hub", "local")


def _setting(
    default: Any, parse: Callable[[str], Any], help_: str, secret: bool = False, also: str = ""
) -> Any:
    """Declare a setting. `also` names another program's variable, which is read when ours is not set."""
    return field(default=default, repr=not secret, metadata={"parse": parse, "help": help_, "also": also})


def _number(low: float, high: float, whole: bool = True) -> Callable[[str], Any]:
    """Return a parser of numbers from `low` to `high`; `whole` allows integers only."""

    def parse(text: str) -> float | int:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise ValueError(f"{'a whole number' if whole else 'a number'} from {low:g} to {high:g}")
        return value

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError("one of " + ", ".join(choices))
        return text

    return parse


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,2})?", text):
        raise ValueError("auto, cpu, cuda or cuda:N")
    return text


def _flag(text: str) -> bool:
    if text.lower() not in ("1", "true", "yes", "on", "0", "false", "no", "off", ""):
        raise ValueError("1 or 0")
    return text.lower() in ("1", "true", "yes", "on")


def _login(text: str) -> str:
    user, colon, password = text.partition(":")
    if text and not (user and colon and password and text.isprintable()):
        raise ValueError("user:password, of printable characters")
    return text


def _key(text: str) -> str:
    """Return a key that can be sent in an HTTP header; one that was pasted with more than itself cannot."""
    odd = next((letter for letter in text if not "!" <= letter <= "~"), "")
    masked = next((mask for mask in ("...", "***") if mask in text), "")
    # a variable that nobody put the key in place of, "$KEY" or "${KEY}"
    masked = masked or ("$" if re.fullmatch(r"\$(?:\w+|\{.*\})", text) else "")
    quoted = next((quote for quote in "\"'`" if text.startswith(quote) or text.endswith(quote)), "")
    if found := odd or masked or quoted:
        raise ValueError(
            f"the key alone and whole, and it holds {shorten(found)}, which is no part of one; copy it again,"
            " without quotes, spaces or a mark for what a page leaves out"
        )
    return text


def _own_key(text: str) -> str:
    """Return a key that the owner chose; it may be a phrase of several words."""
    _key("".join(text.split(" ")))
    return text


def _url(text: str) -> str:
    if text and not _is_url(text, ("http", "https")):
        raise ValueError("a URL that begins with http:// or https://, without spaces or quotes")
    if "@" in urlsplit(text).netloc:
        raise ValueError(f"an address without a login in it; {ENV_PREFIX}LLM_KEY and JUDGE_KEY are for keys")
    return text


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        # reading the port raises ValueError when it is no number or above 65535
        has_host = bool(plain_host(parts.hostname or "")) and parts.port != 0
    except ValueError:
        return False
    # letters of all scripts may be in a host's name; quotes, dashes of print and spaces are in no URL
    plain = all(letter.isalnum() or letter in "-._~:/?#[]@!$&()*+,;=%" for letter in text)
    return has_host and plain and parts.scheme in schemes


def _sockets(text: str) -> tuple[str, ...]:
    """Return the WebSocket addresses of a comma-separated list, each once, in order."""
    return tuple(dict.fromkeys(_socket(each.strip()) for each in text.split(",") if each.strip()))


def _socket(text: str) -> str:
    """Return one address as ws:// or wss://, with the path of the chat route appended if it is missing."""
    wanted = "addresses that begin with ws:// or wss://, separated by commas"
    if not _is_url(text, ("ws", "wss", "http", "https")):
        raise ValueError(wanted)
    parts = urlsplit(text)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    # an address is logged and shown on the page, so it must not carry a secret
    if "@" in parts.netloc:
        raise ValueError(
            f"addresses without a password in them; use {ENV_PREFIX}REMOTE_KEY or {ENV_PREFIX}REMOTE_HEADERS"
        )
    try:
        server = str(Origin.of(scheme, parts.netloc)).partition("://")[2]
    except ValueError:
        raise ValueError(wanted) from None
    path = parts.path.rstrip("/")
    return urlunsplit(
        (scheme, server, path if path.endswith("/api/chat") else f"{path}/api/chat", parts.query, "")
    )


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    try:
        headers = json.loads(text) if text else {}
    except ValueError:
        headers = None
    # names and values as HTTP allows them (RFC 9110, section 5): a line break would begin another header
    if not isinstance(headers, dict) or not all(
        re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name)
        and isinstance(value, str)
        and re.fullmatch(r"[\x20-\x7e]*", value)
        for name, value in headers.items()
    ):
        raise ValueError('a JSON object of HTTP headers such as {"X-API-Key": "..."}')
    return tuple(headers.items())


def _dataset(text: str) -> str:
    if text and not re.fullmatch(r"[\w.-]+/[\w.-]+", text, re.ASCII):
        raise ValueError("OWNER/NAME")
    return text


def _file(text: str) -> Path | None:
    return _folder(text) if text else None


def _folder(text: str) -> Path:
    # an empty one would be wherever the program was started
    if not text:
        raise ValueError("a path")
    return Path(_path(text))


def _path(text: str) -> str:
    """Return a path, whose ~ no shell has replaced in an environment variable or after "="."""
    try:
        return str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError:
        raise ValueError("a path; the user after ~ has no home here") from None


def _prefix(text: str) -> str:
    prefix = text.rstrip("/")
    if not re.fullmatch(r"(/(?!\.{1,2}(?:/|$))[\w.~-]+)*", prefix, re.ASCII):
        raise ValueError("a path such as /voice")
    return prefix


def _host(text: str) -> str:
    try:
        return plain_host(text)
    except ValueError:
        raise ValueError(
            "a name or an IP address of this machine, such as localhost, 0.0.0.0 or ::1; the port is --port's"
        ) from None


def _networks(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        networks = tuple(plain_network(name) for name in names)
    except ValueError:
        networks = ()
    if names and (not networks or EVERY_PEER in networks[1:]):
        raise ValueError("IP addresses or networks such as 127.0.0.1,10.0.0.0/8, or * for every peer")
    return networks


def _origins(text: str) -> tuple[str, ...]:
    try:
        return tuple(plain_origin(origin) for origin in text.split(",") if origin.strip())
    except ValueError:
        raise ValueError("origins such as https://tutor.example,http://localhost:3000") from None


# How `serve --help` groups the settings. One that is in no group is still shown, under "options".
GROUPS = {
    "engine": (
        "engine",
        "stand_in",
        "responder",
        "llm_url",
        "llm_key",
        "llm_model",
        "local_model",
        "find_llm",
    ),
    "PersonaPlex model": ("checkpoint", "hf_token", "device", "dtype", "quantize", "cpu_offload"),
    "remote engine": (
        "remote_url",
        "remote_key",
        "remote_headers",
        "remote_insecure",
        "remote_talks",
        "remote_handshake_s",
    ),
    "talks": ("slots", "talk_limit_s", "idle_limit_s", "drain_s", "connects_per_minute"),
    "network": ("host", "port", "share", "ssl", "ssl_key", "ssl_cert", "root_path", "trusted_proxies"),
    "access": ("auth", "api_key", "allowed_origins", "personas", "adapters", "gateway_key"),
    "storage": ("data", "votes_dataset"),
    "evaluation": ("judge_url", "judge_key", "judge_model"),
    "logs": ("log_format", "log_level"),
}


@dataclass(frozen=True)
class Settings:
    """One run's settings. Secrets stay out of `repr`."""

    engine: str = _setting(
        "auto", _one_of(*ENGINES), "engine to use; auto takes the best that this machine can run"
    )
    stand_in: bool = _setting(
        False, _flag, "let the small stand-in speak while PersonaPlex is downloaded and loaded"
    )
    host: str = _setting(
        "127.0.0.1",
        _host,
        "address to listen on; 0.0.0.0 listens on every network interface, :: on those of IPv6 too",
        also="GRADIO_SERVER_NAME",
    )
    port: int = _setting(
        7860,
        _number(1, 65_535),
        "port to listen on; when it is in use, the next free one is taken",
        also="GRADIO_SERVER_PORT",
    )
    share: bool = _setting(False, _flag, "make a public link through Gradio's relay")
    ssl: bool = _setting(
        False,
        _flag,
        "serve https, with --ssl-key and --ssl-cert, or with a self-signed certificate that the app makes",
    )
    ssl_key: Path | None = _setting(None, _file, "PEM file of the certificate's private key")
    ssl_cert: Path | None = _setting(
        None, _file, "PEM file of the certificate followed by its chain; turns https on without --ssl too"
    )
    root_path: str = _setting(
        "",
        _prefix,
        "path under which a proxy serves the app, such as /voice, whether the proxy removes it or not",
    )
    trusted_proxies: tuple[str, ...] = _setting(
        (),
        _networks,
        "addresses or networks of proxies, comma-separated, whose X-Forwarded-For, -Proto, -Host, -Port and"
        " -Prefix or Forwarded headers are trusted; * trusts every peer",
    )
    checkpoint: str = _setting(
        "",
        _path,
        "folder of a PersonaPlex checkpoint, or a Hub repository as REPO or REPO@REVISION;"
        " default nvidia/personaplex-7b-v1",
    )
    hf_token: str = _setting(
        "",
        _key,
        "token for the Hugging Face Hub; goes before HF_TOKEN and the Hub's own login",
        secret=True,
        also="HF_TOKEN",
    )
    device: str = _setting("auto", _device, "device of the PersonaPlex model: auto, cpu, cuda or cuda:N")
    dtype: str = _setting(
        "auto",
        _one_of("auto", "bfloat16", "float16", "float32"),
        "number type of the model's weights: auto, bfloat16, float16 or float32",
    )
    quantize: str = _setting(
        "auto",
        _one_of("auto", "none", "int8", "int4"),
        "quantisation of the model's weights: none, int8 or int4; auto quantises only when they do not fit",
    )
    cpu_offload: bool = _setting(
        False, _flag, "keep layers that do not fit on the GPU in host memory; far slower than real time"
    )
    remote_url: tuple[str, ...] = _setting(
        (),
        _sockets,
        "servers of the remote engine that speak the moshi protocol, as wss://HOST[/PATH], comma-separated",
    )
    remote_key: str = _setting("", _key, "key for the remote servers, sent as a bearer token", secret=True)
    remote_headers: tuple[tuple[str, str], ...] = _setting(
        (), _headers, "other HTTP headers for the remote servers, a JSON object", secret=True
    )
    remote_insecure: bool = _setting(
        False, _flag, "accept remote servers whose certificate cannot be verified"
    )
    remote_talks: int = _setting(
        1, _number(1, 64), "talks that one remote server holds at once, if it does not report that itself"
    )
    remote_handshake_s: int = _setting(
        60, _number(1, 600), "longest wait for a remote server to begin a talk, in seconds"
    )
    slots: int = _setting(2, _number(1, 64), "talks held at once; further callers wait in line")
    talk_limit_s: int = _setting(600, _number(10, 7_200), "longest talk, in seconds")
    idle_limit_s: int = _setting(
        120, _number(5, 3_600), "end a talk after the user has said nothing for so many seconds"
    )
    drain_s: int = _setting(
        10, _number(0, 3_600), "at shutdown, time that running talks have to end, in seconds"
    )
    data: Path = _setting(
        Path("data"), _folder, "folder for kept talks, cloned voices, votes and certificates"
    )
    auth: str = _setting("", _login, "login required on every route, as user:password", secret=True)
    api_key: str = _setting(
        "",
        _own_key,
        "key accepted on every route as a bearer token, an X-API-Key header or an api_key= parameter",
        secret=True,
    )
    personas: str = _setting(
        "", _path, "YAML file of personas; each adds to the app's own or replaces the one of its name"
    )
    adapters: str = _setting(
        "", _path, "YAML file of gateway adapters; each adds to the personas or replaces the one of its name"
    )
    gateway_key: str = _setting(
        "",
        _own_key,
        "key for gateway adapters that require one; the app's own key is accepted there too",
        secret=True,
    )
    allowed_origins: tuple[str, ...] = _setting(
        (), _origins, "origins of other sites whose pages may connect, comma-separated"
    )
    connects_per_minute: int = _setting(
        60, _number(1, 10_000), "talks that one address may begin in a minute"
    )
    responder: str = _setting(
        "auto",
        _one_of(*RESPONDERS),
        "what answers in the classic engine: rules alone, the endpoint of --llm-url, hub (the Hub's router,"
        " with your token), or local (a small model in this process); auto takes the endpoint if one is set,"
        " local on Colab and Spaces, else rules",
    )
    llm_url: str = _setting(
        "", _url, "OpenAI-compatible endpoint of the language model that answers in the classic engine"
    )
    llm_key: str = _setting("", _key, "key of the language model's endpoint", secret=True)
    llm_model: str = _setting("", str, "name of the model at that endpoint, or at the Hub's router")
    local_model: str = _setting(
        "",
        _path,
        "folder of a small Llama or Qwen2 checkpoint with its tokenizer.json, for --responder local in place"
        " of the one from the Hub",
    )
    find_llm: bool = _setting(
        True, _flag, "look at the start for Ollama and LM Studio on this machine, and offer them; 0 does not"
    )
    judge_url: str = _setting(
        "", _url, "OpenAI-compatible endpoint of the language model that judges answers in evaluate run"
    )
    judge_key: str = _setting("", _key, "key of the judge's endpoint", secret=True)
    judge_model: str = _setting("", str, "name of the judge's model")
    votes_dataset: str = _setting(
        "", _dataset, "private dataset on the Hub, OWNER/NAME, to which votes of blind tests are copied"
    )
    log_format: str = _setting("text", _one_of("text", "json"), "text, or json for one JSON object a line")
    log_level: str = _setting(
        "info", _one_of("debug", "info", "warning", "error"), "least severe level that is logged"
    )

    def __post_init__(self) -> None:
        if (self.ssl_key is None) != (self.ssl_cert is None):
            given, missing = ("--ssl-key", "--ssl-cert") if self.ssl_key else ("--ssl-cert", "--ssl-key")
            raise UsageError(
                f"{given} is given without {missing}; give both, or --ssl alone for a self-signed"
                " certificate."
            )
        if self.share and (self.ssl or self.ssl_cert):
            raise UsageError(
                "--share has https of its own and cannot reach an app that has it too; leave --ssl out."
            )

    @classmethod
    def read(cls, environ: Mapping[str, str], overrides: Mapping[str, str | None] | None = None) -> Settings:
        """Return the settings of an environment; `overrides` are flags as text, None for one not given.

        Raises: UsageError naming the variable, its value and the allowed ones, or settings that need each
        other.
        """
        values: dict[str, Any] = {}
        for f in fields(cls):
            # our variable goes before the other program's, and a flag before both
            variable = ENV_PREFIX + f.name.upper()
            if variable not in environ and f.metadata.get("also") in environ:
                variable = f.metadata["also"]
            flag = (overrides or {}).get(f.name)
            text = flag if flag is not None else environ.get(variable)
            if text is None:
                continue
            name = variable if flag is None else "--" + f.name.replace("_", "-")
            try:
                # environment files and copied secrets often end in white space
                values[f.name] = f.metadata["parse"](text.strip())
            except ValueError as error:
                # a secret that is mistyped is still a secret
                plain = re.sub(r"(?<=//)[^/@]*@", "…@", text)
                shown = f"is {shorten(plain)}" if f.repr else "cannot be used"
                raise UsageError(f"{name} {shown}; it must be {error}.") from None
        return cls(**values)
