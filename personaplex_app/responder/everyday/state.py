"""What the everyday layer remembers of one talk.

Every class is frozen, so that a copy of the talk's memory may share it: a change makes a new value.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OrderLine:
    """One thing that is ordered, so many times; `item` is its place on the role's price list."""

    item: int
    count: int


@dataclass(frozen=True)
class Order:
    """An order; `last` is the item spoken of last. `open`: lines may still be added without asking for them.

    `notes` are wishes such as an allergy; of the item `pending` it is open which of its prices is meant;
    `offered` are the items that were suggested last.
    """

    lines: tuple[OrderLine, ...] = ()
    last: int | None = None
    open: bool = False
    address: str = ""
    pending: int | None = None
    notes: tuple[str, ...] = ()
    offered: tuple[int, ...] = ()


@dataclass(frozen=True)
class Booking:
    """What is booked, and for whom; a field that is not known is empty. `asked` is the field asked for last.

    `done`: the user has confirmed it.
    """

    what: str
    day: str = ""
    time: str = ""
    people: str = ""
    name: str = ""
    contact: str = ""
    asked: str = ""
    done: bool = False


@dataclass(frozen=True)
class Game:
    """A game that is being played: its name, its position, and what has happened in it.

    What `place`, `secret`, `seen` and `score` hold is the business of the game's own module.
    """

    name: str
    place: str = ""
    secret: str = ""
    seen: tuple[str, ...] = ()
    score: int = 0
    over: bool = False


@dataclass(frozen=True)
class Exercise:
    """A teacher's exercise on a topic, "" for a question of another subject.

    `answer` is a fraction, or the words of which an answer must hold one, with | between them; `tries` counts
    wrong answers and hints.
    """

    topic: str = ""
    ask: str = ""
    answer: str = ""
    solution: str = ""
    hint: str = ""
    tries: int = 0
    level: int = 1
    done: bool = False
    right: bool = False
    seen: tuple[int, ...] = ()


@dataclass(frozen=True)
class Tale:
    """A story that is being told: its place in the file, how its hero is introduced and then called.

    `lines` of it are told; `asked`: the listener was asked what happens next; `told` are the stories begun so
    far.
    """

    story: int
    hero: tuple[str, str]
    lines: int = 0
    asked: bool = False
    told: tuple[int, ...] = ()


@dataclass(frozen=True)
class EverydayState:
    """The state of one talk. `pace` multiplies the tempo of speech.

    `feeling` is the feeling that was taken up last and `feeling_turns` for how many turns; `result` is the
    last number that was computed, as a fraction; `draws` counts what was left to chance; `repeatable` is the
    last request that "another one" repeats.
    """

    pace: float = 1.0
    feeling: str = ""
    feeling_turns: int = 0
    result: str = ""
    draws: int = 0
    repeatable: str = ""
    order: Order = Order()
    booking: Booking | None = None
    game: Game | None = None
    exercise: Exercise | None = None
    tale: Tale | None = None
