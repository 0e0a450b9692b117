"""The embedded engine: recognition, responder and synthesis, with weights that come inside packages."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from .. import __version__
from ..engine.contract import Capabilities, EngineState, Notice, SessionConfig
from ..errors import (
    BadPrompt,
    CapacityError,
    EngineError,
    EngineUnavailable,
    UnknownVoice,
    WeightsError,
    shorten,
)
from ..languages import ENGLISH, SPANISH_CODE
from ..protocol_fields import MAX_PROMPT_CHARS
from ..responder.contract import MakeResponder, Responder
from ..responder.encoder_weights import EncoderFiles
from ..responder.language_model import LanguageModel
from ..responder.sentence_encoder import SentenceEncoder
from ..speech.recogniser import Recogniser
from ..speech.spanish.voices import SPANISH_TIMBRES, SpanishSynthesiser, spanish_is_installed
from ..speech.synthesiser import (
    TIMBRES,
    Synthesiser,
    Timbre,
    kept_sample,
)
from ..speech.vad import VadModel
from ..speech.weights import RECOGNISER, SENTENCES, SPELLING, SYNTHESISER, VAD
from ..units import SAMPLE_RATE_HZ
from ..voices import Voice
from .cascade import CascadeSession, Models
from .language import ENGLISH_TALK, spanish_talk
from .phrases import plain_words
from .workers import Worker

_log = logging.getLogger(__name__)
_SESSIONS_PER_CORE = 2
# all sessions share one recogniser and one synthesiser, which more cores do not make faster
_MAX_SESSIONS = 8
_MAX_NOTICES = 8
# how long closing waits for a download to notice
_FETCH_ENDS_S = 5.0
# returns the sentence encoder's files; calls its argument with the bytes of the file that are there so far
FetchEncoder = Callable[[Callable[[int], None]], EncoderFiles]
_OTHER_VOICE = "The voice {} does not speak this language; you hear {}."
_HEARD_BY_MACHINE = (
    "Spanish is young here: its voices were heard by machine only, not by people, and it answers about a"
    " second later than English does."
)
_SELF_TEST_TEXT = "How can I help you today?"


class ClassicEngine:
    """The engine that needs a CPU alone.

    The models are loaded once and shared; each session has its own state and responder.
    """

    name = "classic"
    language = ENGLISH
    capabilities = Capabilities(
        backchannels=True, user_captions=True, agent_captions=True, role_prompt=True, saying=True
    )
    lost = ""

    def __init__(
        self,
        make_responder: MakeResponder,
        max_sessions: int | None = None,
        responder: str = "rules",
        language_model: LanguageModel | None = None,
        fetch_encoder: FetchEncoder | None = None,
        prepare_encoder: Callable[[SentenceEncoder], None] = lambda encoder: None,
    ) -> None:
        """Set up without loading; `responder` describes what `make_responder` makes, for the identity.

        `language_model` is what its responders ask, started and closed with the engine. `fetch_encoder`
        brings the sentence encoder's files where its package is not installed, on a thread of its own, on
        which `prepare_encoder` then makes it ready for talks.
        """
        parts = [RECOGNISER, SYNTHESISER, SPELLING, VAD]
        # optional, and with it the answers are others
        if SENTENCES.is_installed or fetch_encoder:
            parts.append(SENTENCES)
        weights = " ".join(part.sha256[:16] for part in parts)
        self.identity = f"classic {__version__} {responder} {weights}"
        self._make_responder = make_responder
        self._language_model = language_model
        self._max_sessions = max_sessions or min(_MAX_SESSIONS, _SESSIONS_PER_CORE * (os.cpu_count() or 1))
        self._models: Models | None = None
        self._spanish: Models | None = None
        self._loading_spanish = threading.Lock()
        self._encoder: SentenceEncoder | None = None
        self._fetch_encoder = fetch_encoder
        self._prepare_encoder = prepare_encoder
        self._fetching: threading.Thread | None = None
        self._stopped = threading.Event()
        self._samples: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()
        self._sessions: set[_OwnedSession] = set()

    @property
    def languages(self) -> tuple[str, ...]:
        """Spanish, where its parts are installed."""
        return (SPANISH_CODE,) if spanish_is_installed() else ()

    @property
    def about(self) -> str:
        """What it understands, in a sentence for the page."""
        if self.languages:
            return "It understands and speaks English, and Spanish in a Spanish role."
        return "It understands and speaks English only."

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The voices of each language that is installed."""
        return tuple(timbre.voice for timbre in self._timbres)

    @property
    def _timbres(self) -> tuple[Timbre, ...]:
        return (*TIMBRES, *SPANISH_TIMBRES) if self.languages else TIMBRES

    @property
    def max_sessions(self) -> int:
        """How many sessions this machine runs in real time: two for each core, at most eight."""
        return self._max_sessions

    def sample(self, voice: str) -> np.ndarray | None:
        """Return a sentence spoken in a voice, None before `load` and for an unknown voice.

        Shapes: float32 [N] at 24 kHz.
        """
        return self._samples.get(voice)

    def load(self, report: Callable[[EngineState], None]) -> None:
        """Load the models and test them; a second call does nothing.

        Raises: EngineUnavailable when a package is missing, WeightsError when a weight file is missing or
        another one, EngineError when the recogniser does not understand the synthesiser.
        """
        if self._models:
            return
        try:
            report(EngineState("loading", "voice activity", 0.0))
            vad = VadModel()
            report(EngineState("loading", "speech recognition", 0.1))
            recogniser = Recogniser()
            report(EngineState("loading", "speech synthesis", 0.5))
            synthesiser = Synthesiser()
            report(EngineState("loading", "the meaning of sentences", 0.7))
            self._load_encoder()
        except ImportError as error:
            raise EngineUnavailable(
                f"The embedded engine needs the package {error.name}, which is not installed; run: pip"
                " install -r requirements.txt"
            ) from error
        report(EngineState("self_test", "saying a sentence and listening to it", 0.8))
        _self_test(recogniser, synthesiser)
        self._samples = {timbre.voice.name: kept_sample(timbre) for timbre in TIMBRES}
        if self._language_model:
            # in the background: talks need not wait for it, since the rules answer meanwhile
            self._language_model.start()
        # last: with `_models` set the engine counts as loaded
        self._models = Models(vad, recogniser, Worker("recognition"), synthesiser, Worker("synthesis"))

    def responder(self, config: SessionConfig) -> Responder:
        """Return the responder of a talk alone, without hearing and voice."""
        return self._make_responder(config, lambda text: None, encoder=self._encoder)

    def open(self, config: SessionConfig) -> _OwnedSession:
        """Open a session.

        Raises: UnknownVoice, BadPrompt, CapacityError, EngineError.
        """
        timbre = next((timbre for timbre in self._timbres if timbre.voice.name == config.voice), None)
        if timbre is None:
            names = ", ".join(timbre.voice.name for timbre in self._timbres)
            raise UnknownVoice(
                f"The embedded engine has no voice {shorten(config.voice)}; choose one of: {names}."
            )
        if len(config.prompt) > MAX_PROMPT_CHARS:
            raise BadPrompt(
                f"The role prompt has {len(config.prompt)} characters; the limit is {MAX_PROMPT_CHARS}."
                " Shorten it."
            )
        if self._models is None:
            raise EngineError("The embedded engine is not loaded yet; wait until it is ready.")
        spanish = config.language == SPANISH_CODE
        models = self._spanish_models() if spanish else self._models
        chosen = _in_language(timbre, spanish)
        # all of it under the lock, so that two openings do not both take the last slot
        with self._lock:
            if len(self._sessions) >= self._max_sessions:
                raise CapacityError(
                    f"All {self._max_sessions} slots are taken; try again when a talk has ended."
                )
            notices: deque[Notice] = deque(maxlen=_MAX_NOTICES)
            if chosen is not timbre:
                notices.append(
                    Notice("other_voice", _OTHER_VOICE.format(timbre.voice.name, chosen.voice.name))
                )
            if spanish:
                notices.append(Notice("machine_heard", _HEARD_BY_MACHINE))
            responder = self._make_responder(
                config, lambda text: notices.append(Notice("responder", text)), encoder=self._encoder
            )
            lockstep = not config.realtime
            language = spanish_talk() if spanish else ENGLISH_TALK
            session = _OwnedSession(
                models, chosen, responder, notices, lockstep, config.prompt, language, config.greets
            )
            session.on_close = self._closed
            self._sessions.add(session)
        return session

    def _spanish_models(self) -> Models:
        """Return the models of Spanish, loaded by the first talk that needs them.

        Raises: WeightsError, EngineError.
        """
        with self._loading_spanish:
            english = self._models
            if english is None:
                raise EngineError("The embedded engine was closed; start a new talk.")
            if self._spanish is None:
                recogniser = Recogniser(SPANISH_CODE)
                synthesiser = SpanishSynthesiser()
                self._spanish = Models(
                    english.vad, recogniser, Worker("recognition-es"), synthesiser, Worker("synthesis-es")
                )
            return self._spanish

    def _closed(self, session: _OwnedSession) -> None:
        with self._lock:
            self._sessions.discard(session)

    def _load_encoder(self) -> None:
        """Load the sentence encoder; answers are found by words alone where, or until, it is not there."""
        if SENTENCES.is_installed or not self._fetch_encoder:
            try:
                self._encoder = SentenceEncoder()
            except WeightsError as error:
                _log.warning("Answers are found by words alone. %s", error)
                return
        self._fetching = threading.Thread(target=self._bring_encoder, name="sentence-encoder", daemon=True)
        self._fetching.start()

    def _bring_encoder(self) -> None:
        """Download the encoder where it is not there, and prepare it; talks that are opened later have it."""
        try:
            encoder = self._encoder
            if encoder is None and self._fetch_encoder:
                encoder = SentenceEncoder(self._fetch_encoder(self._continue_fetching))
            if encoder:
                self._prepare_encoder(encoder)
            self._encoder = encoder
        except _Stopped:
            pass
        except (EngineUnavailable, WeightsError) as error:
            _log.warning("Answers are found by words alone. %s", error)

    def _continue_fetching(self, at_bytes: int) -> None:
        if self._stopped.is_set():
            raise _Stopped

    def close(self) -> None:
        """Close every session and the models' threads. May be called twice."""
        # a copy, and the lock released: closing a session takes it again in `_closed`
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.close()
        if self._language_model:
            self._language_model.close()
        self._stopped.set()
        if self._fetching:
            self._fetching.join(_FETCH_ENDS_S)
        with self._loading_spanish:
            both = self._models, self._spanish
            self._models = self._spanish = None
        for models in filter(None, both):
            models.recognition.close()
            models.synthesis.close()


class _Stopped(Exception):
    """The engine is closed while a download runs."""


class _OwnedSession(CascadeSession):
    """A session that notifies its engine when it is closed."""

    on_close: Callable[[_OwnedSession], None] | None = None

    def close(self) -> None:
        """Close the session and let another one be opened. May be called twice."""
        super().close()
        if self.on_close:
            self.on_close(self)


def _in_language(timbre: Timbre, spanish: bool) -> Timbre:
    """Return a voice of the talk's language: the one that was chosen, or else a woman's for a woman's."""
    voices = SPANISH_TIMBRES if spanish else TIMBRES
    if timbre in voices:
        return timbre
    return next(each for each in voices if each.is_man == timbre.is_man)


def _self_test(recogniser: Recogniser, synthesiser: Synthesiser) -> None:
    """Synthesise a sentence and recognise it. Raises: EngineError when it comes out differently."""
    clip = synthesiser.speak(_SELF_TEST_TEXT, TIMBRES[0])
    # a clip that begins or ends in a sound is recognised less reliably
    pad = np.zeros(SAMPLE_RATE_HZ // 4, np.float32)
    understood = recogniser.transcribe(np.concatenate([pad, clip.samples, pad])).text
    if plain_words(understood) != plain_words(_SELF_TEST_TEXT):
        raise EngineError(
            "The embedded engine did not understand its own voice in the self-test; reinstall with: pip"
            " install -r requirements.txt"
        )
