"""Turn-taking: a state machine over voice activity, recognised text and the clock, without threads or models.

LISTEN  the agent is silent; the user may be speaking
HOLD    the user has paused; the turn may be over
SPEAK   the agent has the floor
FADE    the agent was cut off by the user's voice; the words decide whether that was an interruption

`advance` is called every frame and returns what to do, from the gate and the clock. `recognised`, `ready` and
`no_answer` take the results of the workers; results of an earlier turn or pause are dropped.
"""

from __future__ import annotations

from ..engine.contract import Mark
from ..speech.vad import ON, ON_WHILE_SPEAKING, SpeechGate
from .phrases import (
    ENGLISH_WORDS,
    PATIENCE_S,
    Ending,
    TurnWords,
    ending,
    has_own_words,
    insisted_on,
    is_backchannel,
    is_echo,
    is_stop,
    plain_words,
)
from .turn_actions import Action, ActionKind, Phase, UserTurn

PAUSE_S = 0.16
PARTIAL_EVERY_S = 0.48
# Over the agent's speech the user's voice first ducks and then cuts it. A short backchannel is over by then.
DUCK_AFTER_S = 0.24
CUT_AFTER_S = 0.44
# A burst that lasts so long is no backchannel, whatever its words are: the cut stands.
CONFIRM_CUT_AFTER_S = 1.4
SHORT_BURST_S = 0.45
_BURST_VOICED_S = 0.16
# An answer is prepared so long before it may be needed: preparing takes about 0.2 s on two cores.
_PREPARE_AHEAD_S = 0.5
BACKCHANNEL_AFTER_S = 0.64
_BACKCHANNEL_EVERY_S = 5.0
_BACKCHANNEL_MIN_VOICED_S = 0.6
# When the user interrupts an answer after so few words, or so soon, they had not finished their question:
# what they say then is joined to it.
_UNHEARD_WORDS = 2
_UNHEARD_WITHIN_S = 3.0
_CONTINUES_WITHIN_S = 0.8
_OVERLAP_AT_END_S = 0.3
_OWN_WORDS_PASSES = 2
# Two cuts in a row by a sound without words, by one word that the agent had just spoken, or by a sound that
# began and ended with the agent's voice: most likely that voice, too short to be recognised as an echo.
_SUSPECT_CUTS = 2
_LOUD_ROOM_WORDS = 2
# Speech of so long that holds no English word, so often in a row, is another language or a poor line.
_NO_WORDS_VOICED_S = 0.8
_NO_WORDS_TURNS = 2
# A turn of so long that goes on without a pause to answer in, and of which so few words are understood, is
# babble: people who talk say two words a second and more. One that repeats a question is answered sooner.
_ENDLESS_S = 12.0
_INSISTS_S = 6.0
_ENDLESS_WORDS_PER_S = 0.75
# an announcement that it is loud is not made again within
_LOUD_AGAIN_S = 45.0
_SUSPECT_ONSET_S = 0.4
_SUSPECT_END_S = 0.35


class Turns:
    """The turn-taking of one talk. The caller feeds `gate` before each `advance`."""

    def __init__(self, words: TurnWords = ENGLISH_WORDS) -> None:
        self._words = words
        self.gate = SpeechGate(gap_s=PAUSE_S)
        self.phase = Phase.LISTEN
        self.turn: UserTurn | None = None
        self.protected = False
        """Whether what the agent says may not be interrupted."""
        self.loud_room = False
        self.babble = False
        self._babble_told_s = -_LOUD_AGAIN_S
        self._turn_ids = 0
        self._cut_s = 0.0
        # long before the talk, so that nothing at its beginning counts as close to it
        self._agent_end_s = -10.0
        self._backchannel_s = -10.0
        self._ducked = False
        self._open_question = ""
        self._open_question_until_s = 0.0
        self._burst = 0
        self._suspect_cuts = 0
        self._speaks_from_s = 0.0
        self._turns_without_words = 0

    def set_agent_sounding(self, sounding: bool) -> None:
        """Raise the gate's threshold while the agent's speech is audible."""
        self.gate.threshold = ON_WHILE_SPEAKING if sounding else ON

    def greet(self, now_s: float) -> None:
        """Give the agent the floor without a user turn before it."""
        self.phase = Phase.SPEAK
        self._speaks_from_s = now_s

    # -- every frame -------------------------------------------------------------------------------

    def advance(self, now_s: float) -> list[Action]:
        """Advance to `now_s`, the end of the last frame, and return what to do."""
        actions: list[Action] = []
        turn = self._opened(now_s, actions)
        if turn is None:
            return actions
        turn.voiced_s = max(turn.voiced_s, self.gate.voiced_s)
        if turn.forced:
            if turn.ready:
                self._answer(turn, now_s, actions)
            return actions
        if self.phase is Phase.SPEAK:
            self._while_agent_speaks(turn, now_s, actions)
        elif self.gate.open:
            if self.phase is Phase.FADE and now_s - turn.onset_s >= CONFIRM_CUT_AFTER_S:
                # so long a voice is not the agent's own, cut off and still in the room
                self._suspect_cuts = 0
                self._confirm_cut(turn, actions)
            self._request_partial(turn, now_s, actions)
        else:
            self._paused(turn, now_s, actions)
        return actions

    def _opened(self, now_s: float, actions: list[Action]) -> UserTurn | None:
        """Return the user's turn: begun by a new burst, continued after a pause, or None."""
        turn = self.turn
        if turn is None:
            if self.gate.bursts == self._burst:
                return None
            self._turn_ids += 1
            turn = self.turn = UserTurn(self._turn_ids, self.gate.onset_s, self.phase is Phase.SPEAK, now_s)
            actions.append(Action(ActionKind.BEGIN, turn.id))
        elif turn.requested and self.gate.open and not turn.forced:
            # the user goes on: what was recognised and prepared at the pause no longer holds
            if turn.prepared:
                actions.append(Action(ActionKind.DISCARD, turn.id))
            turn.requested = turn.prepared = turn.ready = False
            turn.text = None
            turn.partial_at_s = now_s
            if self.phase is Phase.HOLD:
                self.phase = Phase.LISTEN
            actions.append(Action(ActionKind.RESUME_TURN, turn.id))
        self._burst = self.gate.bursts
        return turn

    def _while_agent_speaks(self, turn: UserTurn, now_s: float, actions: list[Action]) -> None:
        """Duck and then cut the agent while the user's voice goes on; recognise the burst once it ends."""
        if self.protected:
            return
        if self.gate.open:
            # counted from the first burst: who takes a breath and speaks again wants the floor
            age_s = now_s - turn.onset_s
            if self.loud_room or self.babble:
                # the voice may be the agent's own or another's: only words can cut (`recognised_partial`)
                self._request_partial(turn, now_s, actions)
            elif age_s >= CUT_AFTER_S:
                self._cut(now_s, actions)
            elif age_s >= DUCK_AFTER_S and not self._ducked:
                self._ducked = True
                actions.append(Action(ActionKind.DUCK))
        elif now_s - self.gate.voice_end_s >= PAUSE_S:
            if self._ducked:
                self._ducked = False
                actions.append(Action(ActionKind.UNDUCK))
            self._request_pause(turn, actions)

    def _paused(self, turn: UserTurn, now_s: float, actions: list[Action]) -> None:
        """Recognise the turn at its pause; then prepare the answer and give it once the turn seems over."""
        silence_s = now_s - self.gate.voice_end_s
        if silence_s < PAUSE_S:
            return
        if not turn.requested:
            self._request_pause(turn, actions)
        if self.phase is Phase.LISTEN:
            self.phase = Phase.HOLD
        if self.phase is not Phase.HOLD or turn.text is None:
            return
        end = ending(turn.text, self._words)
        patience_s = PATIENCE_S[end]
        if not turn.prepared and silence_s >= patience_s - _PREPARE_AHEAD_S:
            turn.prepared = True
            actions.append(Action(ActionKind.PREPARE, turn.id, text=turn.text and self._question(turn)))
        if (
            # only in a long pause, not when the answer is about to begin, and not after a word or two
            end in (Ending.OPEN, Ending.LOOSE)
            and BACKCHANNEL_AFTER_S <= silence_s < patience_s - _PREPARE_AHEAD_S / 2
            and turn.voiced_s >= _BACKCHANNEL_MIN_VOICED_S
            and now_s - self._backchannel_s >= _BACKCHANNEL_EVERY_S
        ):
            self._backchannel_s = now_s
            actions.append(Action(ActionKind.BACKCHANNEL))
        if turn.ready and silence_s >= patience_s:
            self._answer(turn, now_s, actions)

    def _answer(self, turn: UserTurn, now_s: float, actions: list[Action]) -> None:
        """End the user's turn and give the agent the floor."""
        self.babble = turn.forced and not turn.text
        self._open_question = self._question(turn)
        self._speaks_from_s = now_s
        self._open_question_until_s = now_s + _UNHEARD_WITHIN_S
        self.turn = None
        self.phase = Phase.SPEAK
        actions.append(Action(ActionKind.ANSWER, turn.id))

    def _question(self, turn: UserTurn) -> str:
        """Return what is to be answered: the turn's text, after the question it continues if there is one."""
        text = turn.text or ""
        if (
            self._open_question
            and turn.onset_s < self._open_question_until_s
            and not is_stop(text, self._words)
        ):
            return f"{self._open_question} {text}"
        return text

    def _request_partial(self, turn: UserTurn, now_s: float, actions: list[Action]) -> None:
        if now_s - turn.partial_at_s >= PARTIAL_EVERY_S:
            turn.partial_at_s = now_s
            actions.append(Action(ActionKind.PARTIAL, turn.id, turn.pause))

    def _request_pause(self, turn: UserTurn, actions: list[Action]) -> None:
        if not turn.requested:
            turn.requested = True
            turn.pause += 1
            actions.append(Action(ActionKind.PAUSE, turn.id, turn.pause))

    # -- results of the workers --------------------------------------------------------------------

    def current(self, turn_id: int, pause: int) -> bool:
        """Return whether this pause is still the present one, so that its recognition counts."""
        turn = self.turn
        return (
            turn is not None
            and turn.id == turn_id
            and turn.requested
            and turn.pause == pause
            and not self.gate.open
        )

    def recognised(self, turn_id: int, pause: int, text: str, played: str, now_s: float) -> list[Action]:
        """Take the text of a pause; `played` are the agent's recent words."""
        turn = self.turn
        if turn is None or not self.current(turn_id, pause):
            return []
        actions: list[Action] = []
        echo, loud = self._judge_echo(turn, text, played)
        if self.phase is Phase.SPEAK:
            self._decide_short_burst(turn, text, echo, now_s, actions)
        elif self.phase is Phase.FADE and (echo or not text or is_backchannel(text, self._words)):
            self._resume_agent(turn, text, echo, loud, now_s, actions)
        elif not text and not turn.during_agent and self._is_foreign(turn):
            # answered like a turn of words, which are none: the answer says what is understood
            self.phase = Phase.HOLD
            turn.text = ""
        elif echo or not text:
            self.turn = None
            self.phase = Phase.LISTEN
            actions.append(Action(ActionKind.DISCARD_TURN, turn.id))
        elif self._was_backchannel(turn, text):
            self.phase = Phase.LISTEN
            self._end_without_answer(turn, text, echo, actions)
        else:
            if self.phase is Phase.FADE:
                self._confirm_cut(turn, actions)
            self.phase = Phase.HOLD
            turn.text = text
        if text and self._turns_without_words < _NO_WORDS_TURNS:
            self._turns_without_words = 0
        return actions

    def _is_foreign(self, turn: UserTurn) -> bool:
        """Note a turn without words; return whether it is, once a talk, to be answered as not understood."""
        self._turns_without_words += turn.voiced_s >= _NO_WORDS_VOICED_S
        return self._turns_without_words == _NO_WORDS_TURNS

    def _judge_echo(self, turn: UserTurn, text: str, played: str) -> tuple[bool, bool]:
        """Return whether `text` is the agent's own voice, and whether that proves a loud room."""
        echo = turn.during_agent and is_echo(text, played, self.loud_room)
        # a single word may be the same by chance
        loud = echo and len(plain_words(text)) >= _LOUD_ROOM_WORDS
        if self.phase is Phase.FADE:
            suspect = self._is_suspect(turn, text) or (echo and not loud)
            self._suspect_cuts = self._suspect_cuts + 1 if suspect else 0
            loud = loud or self._suspect_cuts >= _SUSPECT_CUTS
            # who says "stop" while the agent says it too still means it
            echo = loud or (echo and not is_stop(text, self._words))
        return echo, loud

    def _resume_agent(
        self, turn: UserTurn, text: str, echo: bool, loud: bool, now_s: float, actions: list[Action]
    ) -> None:
        """Let the agent go on after a cut that was no interruption."""
        if loud and not self.loud_room:
            self.loud_room = True
            actions.append(Action(ActionKind.LOUD_ROOM))
        self.phase = Phase.SPEAK
        self._speaks_from_s = now_s
        actions.append(Action(ActionKind.RESUME))
        self._end_without_answer(turn, text, echo, actions)

    def _was_backchannel(self, turn: UserTurn, text: str) -> bool:
        """Return whether a turn that began during the agent's speech was a backchannel to it."""
        # one that began with the agent's last words is the answer to them, such as a "yes"
        began_before_end = turn.onset_s < self._agent_end_s - _OVERLAP_AT_END_S
        return turn.during_agent and is_backchannel(text, self._words) and began_before_end

    def _decide_short_burst(
        self, turn: UserTurn, text: str, echo: bool, now_s: float, actions: list[Action]
    ) -> None:
        """Decide whether a burst that ended before it cut the agent off was an interruption."""
        interrupts = (
            text
            and not echo
            and not is_backchannel(text, self._words)
            and (is_stop(text, self._words) or text.endswith("?") or turn.voiced_s > SHORT_BURST_S)
        )
        if not interrupts:
            self._end_without_answer(turn, text, echo, actions)
            return
        self._cut(now_s, actions)
        self._confirm_cut(turn, actions)
        self.phase = Phase.HOLD
        turn.text = text

    def _end_without_answer(self, turn: UserTurn, text: str, echo: bool, actions: list[Action]) -> None:
        """End a turn that needs no answer: a backchannel, a noise or an echo."""
        self.turn = None
        if not echo and (text or turn.voiced_s >= _BURST_VOICED_S):
            actions.append(
                Action(ActionKind.MARK, mark=Mark("backchannel", "user", turn.onset_s, self.gate.voice_end_s))
            )
        actions.append(Action(ActionKind.CLOSE if text and not echo else ActionKind.DISCARD_TURN, turn.id))

    def recognised_partial(
        self, turn_id: int, text: str, played: str, now_s: float, so_far: str = ""
    ) -> list[Action]:
        """Take a text recognised in mid-speech; in a loud room it cuts the agent off when it has own words.

        `so_far` is the whole turn as it is shown: one that finds no end is answered all the same.
        Words that the agent has just said may be its own voice and do not count.
        """
        turn = self.turn
        actions = list[Action]()
        if turn is None or turn.id != turn_id:
            return actions
        if self.phase is Phase.LISTEN and not turn.forced:
            self._force_answer(turn, so_far, now_s, actions)
        if (
            self.phase is not Phase.SPEAK
            or not (self.loud_room or self.babble)
            or is_backchannel(text, self._words)
        ):
            return actions
        turn.own_words_passes = turn.own_words_passes + 1 if has_own_words(text, played) else 0
        if turn.own_words_passes >= _OWN_WORDS_PASSES:
            self._cut(now_s, actions)
            self._confirm_cut(turn, actions)
        return actions

    def _force_answer(self, turn: UserTurn, text: str, now_s: float, actions: list[Action]) -> None:
        """Answer a turn that finds no end: its question where it repeats one, else that it is loud."""
        age_s = now_s - turn.onset_s
        insisted = insisted_on(text)
        if insisted and age_s >= _INSISTS_S:
            turn.text = insisted
            actions.append(Action(ActionKind.PREPARE, turn.id, text=insisted))
        elif (
            age_s >= _ENDLESS_S
            and len(plain_words(text)) < _ENDLESS_WORDS_PER_S * age_s
            and now_s - self._babble_told_s >= _LOUD_AGAIN_S
        ):
            self._babble_told_s = now_s
            turn.text = ""
            actions.append(Action(ActionKind.BABBLE, turn.id))
        else:
            return
        turn.forced = turn.prepared = True

    def typed(self, text: str, now_s: float) -> list[Action]:
        """Take a turn that the user wrote: it ends whatever is said, and is answered as soon as it can be."""
        actions = list[Action]()
        if self.phase is Phase.SPEAK:
            self._cut(now_s, actions)
        if self.turn is not None and self.turn.prepared:
            actions.append(Action(ActionKind.DISCARD, self.turn.id))
        if self.turn is not None:
            actions.append(Action(ActionKind.CLOSE, self.turn.id))
        self._turn_ids += 1
        self.turn = UserTurn(self._turn_ids, now_s, self.phase is Phase.FADE, now_s, text=text)
        if self.phase is Phase.FADE:
            self._confirm_cut(self.turn, actions)
        self.phase = Phase.LISTEN
        self._open_question = ""
        self.turn.forced = self.turn.prepared = True
        return [*actions, Action(ActionKind.TYPED, self.turn.id, text=text)]

    def ready(self, turn_id: int) -> None:
        """Take note that the first sentence of the answer can be played."""
        if self.turn is not None and self.turn.id == turn_id and self.turn.prepared:
            self.turn.ready = True

    def no_answer(self, turn_id: int) -> list[Action]:
        """End the turn: the responder has no answer to it."""
        if self.turn is None or self.turn.id != turn_id or not self.turn.prepared:
            return []
        self.turn = None
        self.phase = Phase.LISTEN
        self._open_question = ""
        return [Action(ActionKind.CLOSE, turn_id)]

    # -- the end of the agent's turn ---------------------------------------------------------------

    def agent_finished(self, now_s: float) -> list[Action]:
        """Give the floor back: the agent has played its whole answer."""
        turn = self.turn
        actions = list[Action]()
        self._agent_end_s = now_s
        self._open_question = ""
        self._ducked = False
        self.phase = Phase.LISTEN
        # in a loud room the turn may be the agent's own voice
        if turn is not None and not self.loud_room:
            actions.append(Action(ActionKind.MARK, mark=Mark("overlap", "user", turn.onset_s, now_s)))
        return actions

    def stop(self, now_s: float) -> list[Action]:
        """Silence the agent at a client's request, and discard the answer that is being prepared."""
        turn = self.turn
        actions = list[Action]()
        if self.phase in (Phase.SPEAK, Phase.FADE):
            if self.phase is Phase.SPEAK:
                actions.append(Action(ActionKind.CUT))
            actions.append(Action(ActionKind.CONFIRM_CUT))
            self._agent_end_s = now_s
            self._ducked = False
        self._open_question = ""
        if turn is not None and turn.prepared:
            actions += [Action(ActionKind.DISCARD, turn.id), Action(ActionKind.CLOSE, turn.id)]
            self.turn = turn = None
        self.phase = Phase.LISTEN
        return actions

    def reply_was_cut(self, words: int) -> None:
        """Take note of how many words of the answer had been played when it was cut."""
        # the user heard most of the answer and replies to it: only words at once continue the question
        if words > _UNHEARD_WORDS:
            self._open_question_until_s = min(
                self._open_question_until_s, self._speaks_from_s + _CONTINUES_WITHIN_S
            )

    def _is_suspect(self, turn: UserTurn, text: str) -> bool:
        """Return whether a cut may have come from the agent's own voice; see `_SUSPECT_CUTS`."""
        with_agent = (
            turn.onset_s - self._speaks_from_s < _SUSPECT_ONSET_S
            and self.gate.voice_end_s - self._cut_s < _SUSPECT_END_S
        )
        return not text or with_agent

    def _cut(self, now_s: float, actions: list[Action]) -> None:
        self.phase = Phase.FADE
        self._ducked = False
        self._cut_s = self._agent_end_s = now_s
        actions.append(Action(ActionKind.CUT))

    def _confirm_cut(self, turn: UserTurn, actions: list[Action]) -> None:
        self.phase = Phase.LISTEN
        actions += [
            Action(ActionKind.CONFIRM_CUT),
            Action(ActionKind.MARK, mark=Mark("interruption", "user", turn.onset_s, self._cut_s)),
        ]
