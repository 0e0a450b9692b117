"""Routes of comparisons: render voices, hear them, vote in a blind test, read its results.

Runs and votes belong to the owner's key in the header X-Owner-Key, which a page of another site cannot send
unasked. Whoever has a blind test's id can take it; its sounds have addresses that do not reveal the voice.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...engine.contract import Sampling
from ...errors import BadInput, NotFound, shorten
from ...evaluation.blind_test import results
from ...evaluation.blind_test.design import REASONS
from ...evaluation.blind_test.round import SIDES, Ballot, Round, passed_checks, preferred
from ...evaluation.blind_test.store import BlindTest
from ...evaluation.comparison import Matched, sound_file
from ...evaluation.loudness import amplified, gain_db
from ...evaluation.scenarios import KIND_TITLES
from ...json_input import whole_number
from ...protocol import SAMPLING_LIMITS
from ...sessions.shares import Shares
from ..comparison_answers import describe
from ..comparison_inputs import MAX_RECORDING_S
from ..comparison_request import MAX_INPUTS, MAX_SEEDS, MAX_SETTINGS, ComparisonRequest
from ..comparison_runs import MAX_CELLS, ComparisonRun
from ..comparisons import Comparisons
from ..connect_rate import ConnectRate
from ..http import PRIVATE, errors_as_json, json_object, principal_of, private_json
from ..uploads import MAX_UPLOADS, uploaded

MAX_BODY_BYTES = 32 << 10
MAX_RECORDING_BYTES = 48 << 20
"""Two minutes of 48 kHz stereo at 32 bits."""
USUAL_TRIALS = 12
EXPORTS = {
    "csv": (results.to_csv, "text/csv; charset=utf-8"),
    "jsonl": (results.to_jsonl, "application/jsonl; charset=utf-8"),
}


def compare_routes(comparisons: Comparisons) -> list[Route]:
    """Return the routes of the Compare tab."""
    runs = _RunApi(comparisons)
    tests = _TestApi(comparisons)
    run = "/api/compare/runs/{id}"
    test = "/api/compare/tests/{id}"
    return [
        Route("/api/compare", errors_as_json(runs.offer), methods=["GET"]),
        Route("/api/compare/recordings", errors_as_json(runs.record), methods=["POST"]),
        Route("/api/compare/runs", errors_as_json(runs.start), methods=["POST"]),
        Route(run, errors_as_json(runs.one), methods=["GET"]),
        Route(run + "/cancel", errors_as_json(runs.cancel), methods=["POST"]),
        Route(run + "/cells/{row}/{column}", errors_as_json(runs.cell), methods=["GET"]),
        Route(run + "/cells/{row}/{column}/{channels}.wav", errors_as_json(runs.sound), methods=["GET"]),
        Route(run + "/test", errors_as_json(runs.test), methods=["POST"]),
        Route(test, errors_as_json(tests.mine), methods=["GET"]),
        Route(test + "/begin", errors_as_json(tests.begin), methods=["POST"]),
        Route(test + "/trials/{token}", errors_as_json(tests.lanes), methods=["GET"]),
        Route(test + "/trials/{token}/{side}.wav", errors_as_json(tests.sound), methods=["GET"]),
        Route(test + "/vote", errors_as_json(tests.vote), methods=["POST"]),
        Route(test + "/undo", errors_as_json(tests.undo), methods=["POST"]),
        Route(test + "/reveal", errors_as_json(tests.reveal), methods=["POST"]),
        Route(test + "/board", errors_as_json(tests.board), methods=["GET"]),
        Route(test + "/results", errors_as_json(tests.results), methods=["GET"]),
        Route(test + "/export.{kind}", errors_as_json(tests.export), methods=["GET"]),
    ]


class _RunApi:
    def __init__(self, comparisons: Comparisons) -> None:
        self._comparisons = comparisons
        self._rate = ConnectRate("comparisons")
        self._uploads = Shares(MAX_UPLOADS, "uploads")

    async def offer(self, request: Request) -> Response:
        scenarios = [
            {name: vars(each)[name] for name in ("name", "kind", "title", "persona")}
            for each in self._comparisons.inputs.scenarios.values()
        ]
        limits = {
            "inputs": MAX_INPUTS,
            "seeds": MAX_SEEDS,
            "recording_s": MAX_RECORDING_S,
            "recording_bytes": MAX_RECORDING_BYTES,
        }
        return private_json(
            {
                "scenarios": scenarios,
                "kinds": [{"name": kind, "title": title} for kind, title in KIND_TITLES.items()],
                "limits": limits,
                "reasons": list(REASONS),
                "usual_trials": USUAL_TRIALS,
                "settings": {
                    name: {"least": least, "most": most, "whole": whole, "usual": getattr(Sampling(), name)}
                    for name, (least, most, whole) in SAMPLING_LIMITS.items()
                    if name != "seed"
                },
                "most_settings": MAX_SETTINGS,
            }
        )

    async def record(self, request: Request) -> Response:
        caller = principal_of(request)
        _ = caller.required_owner
        self._rate.admit(caller)
        with self._uploads.place(caller):
            body = await uploaded(request, MAX_RECORDING_BYTES)
        made = await self._comparisons.heavy(
            self._comparisons.inputs.add_recording, caller, body, request.query_params.get("title", "")
        )
        about = {"id": made.id, "title": made.title, "duration_s": made.duration_s}
        return private_json({**about, "notes": made.notes}, 201)

    async def start(self, request: Request) -> Response:
        self._rate.admit(principal_of(request))
        run = await self._comparisons.runs.start(
            principal_of(request), ComparisonRequest.parse(await json_object(request, MAX_BODY_BYTES))
        )
        return private_json(run.as_json(), 201)

    async def one(self, request: Request) -> Response:
        return private_json(self._run(request).as_json())

    async def cancel(self, request: Request) -> Response:
        run = self._run(request)
        self._comparisons.runs.cancel(run)
        return private_json(run.as_json())

    async def cell(self, request: Request) -> Response:
        return private_json(await self._comparisons.heavy(lambda: describe(self._cell(request))))

    async def sound(self, request: Request) -> Response:
        channels = request.path_params["channels"]
        if channels not in ("both", "agent"):
            raise NotFound(f"There is no sound {shorten(channels)}; ask for both or agent.")
        return _wav(await self._comparisons.light(lambda: self._cell(request).wav(channels)))

    async def test(self, request: Request) -> Response:
        run = self._run(request)
        self._rate.admit(principal_of(request))
        engine = self._comparisons.runs.supervisor(run).engine.name
        test = await self._comparisons.heavy(self._comparisons.blind.make, run, engine)
        return private_json({"id": test.design.id}, 201)

    def _run(self, request: Request) -> ComparisonRun:
        return self._comparisons.runs.get(principal_of(request), request.path_params["id"])

    def _cell(self, request: Request) -> Matched:
        row = whole_number(request.path_params["row"], MAX_CELLS)
        column = whole_number(request.path_params["column"], MAX_CELLS)
        if row is None or column is None:
            raise NotFound("An answer is named by two whole numbers, its row and its column.")
        return Matched.of(self._comparisons.answers.get(self._run(request).key(row, column)))


class _TestApi:
    def __init__(self, comparisons: Comparisons) -> None:
        self._comparisons = comparisons
        self._rate = ConnectRate("rounds")
        self._votes = ConnectRate("votes")
        # votes wait for the disk alone, never for what takes the cores
        self._disk = anyio.CapacityLimiter(4)

    async def mine(self, request: Request) -> Response:
        return await self._state(request, lambda test, owner: test.mine(owner))

    async def begin(self, request: Request) -> Response:
        self._rate.admit(principal_of(request))
        asked = await json_object(request, MAX_BODY_BYTES)
        endless = asked.get("endless") is True
        trials = asked.get("trials", USUAL_TRIALS)
        # not `isinstance`: true is an int too
        if type(trials) is not int or trials < 1:
            raise BadInput(f"The number of pairs is {shorten(trials)}; it must be a whole number from 1 up.")
        # `mine` logs the first trial as shown, which `begin` does not
        return await self._state(
            request, lambda test, owner: test.begin(owner, None if endless else trials) and test.mine(owner)
        )

    async def vote(self, request: Request) -> Response:
        self._votes.admit(principal_of(request))
        ballot = Ballot.parse(await json_object(request, MAX_BODY_BYTES))
        return await self._state(
            request, lambda test, owner: test.vote(owner, ballot, must_fetch=True) and test.mine(owner)
        )

    async def undo(self, request: Request) -> Response:
        return await self._state(request, lambda test, owner: test.undo(owner) and test.mine(owner))

    async def reveal(self, request: Request) -> Response:
        return await self._state(request, lambda test, owner: test.reveal(owner))

    async def lanes(self, request: Request) -> Response:
        def work() -> dict[str, Any]:
            test, number, mine = self._current(request)
            text, _ = self._comparisons.blind.question(test, mine.trials[number].condition)
            lanes = {side: self._clip(request, side).lane(words=False) for side in SIDES}
            return {**lanes, "question": text}

        return private_json(await self._comparisons.light(work))

    async def sound(self, request: Request) -> Response:
        side = request.path_params["side"]
        if side == "question":
            return _wav(await self._comparisons.light(lambda: self._question(request)))
        if side not in SIDES:
            raise NotFound(f"There is no side {shorten(side)}; ask for left, right or question.")
        sound = await self._comparisons.light(lambda: self._clip(request, side).wav("agent"))
        await self._off_loop(request, lambda test, owner: test.fetched(owner, side))
        return _wav(sound)

    async def board(self, request: Request) -> Response:
        return private_json(await self._off_loop(request, lambda test, owner: results.board(test)))

    async def results(self, request: Request) -> Response:
        return private_json(
            await self._off_loop(request, lambda test, owner: results.results(_finished(test, owner)))
        )

    async def export(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in EXPORTS:
            raise NotFound(f"There is no export {shorten(kind)}; choose {' or '.join(EXPORTS)}.")
        make, media_type = EXPORTS[kind]
        text = await self._off_loop(request, lambda test, owner: make(_finished(test, owner)))
        headers = {
            **PRIVATE,
            "Content-Disposition": f'attachment; filename="votes-{request.path_params["id"][:8]}.{kind}"',
        }
        return Response(text, headers=headers, media_type=media_type)

    async def _state(self, request: Request, work: Any) -> Response:
        return private_json(
            await self._off_loop(request, lambda test, owner: _state(test, work(test, owner)))
        )

    async def _off_loop(self, request: Request, work: Any) -> Any:
        owner = _owner(request)
        get = self._comparisons.blind.tests.get
        return await anyio.to_thread.run_sync(
            lambda: work(get(request.path_params["id"]), owner), limiter=self._disk
        )

    def _clip(self, request: Request, side: str) -> Matched:
        """Return the clip on one side of the trial that a token names."""
        test, number, mine = self._current(request)
        return self._comparisons.blind.audible(test, mine.trials[number].condition, mine.sides(number)[side])

    def _question(self, request: Request) -> bytes:
        test, number, mine = self._current(request)
        _, asked = self._comparisons.blind.question(test, mine.trials[number].condition)
        return sound_file(amplified(asked, gain_db(asked)))

    def _current(self, request: Request) -> tuple[BlindTest, int, Round]:
        """Return the test, and the trial that a token names, which must be the current one."""
        test = self._comparisons.blind.tests.get(request.path_params["id"])
        mine = test.mine(_owner(request))
        number = mine.at if mine else None
        if mine is None or number is None or mine.token(number) != request.path_params["token"]:
            raise NotFound(
                "That pair is not the one shown to you now; reload the page to see the one that is."
            )
        return test, number, mine


def _state(test: BlindTest, mine: Round | None) -> dict[str, Any]:
    """Return what a listener may know: before the reveal nothing that says which voice is on which side."""
    about = {
        "test": test.design.id,
        "engine": test.design.engine,
        "by": test.design.by,
        "voices": len(test.design.voices),
        "most_trials": test.design.most_trials,
    }
    if mine is None:
        return {**about, "phase": "new"}
    number = mine.at
    trial = None
    if number is not None:
        condition = test.design.conditions[mine.trials[number].condition]
        shared = {"title": condition.title, "persona": condition.persona}
        trial = {
            "token": mine.token(number),
            "number": number + 1,
            **shared,
            "needed_s": mine.needed_s(number),
        }
    state = {
        **about,
        "phase": mine.phase,
        "done": len(mine.votes),
        # None: as many as the listener likes
        "total": None if mine.endless else len(mine.trials),
        "can_undo": mine.can_undo,
        "trial": trial,
    }
    return {**state, "reveal": _reveal(mine)} if mine.revealed else state


def _reveal(mine: Round) -> dict[str, Any]:
    seeds = len({condition.seed for condition in mine.design.conditions}) > 1
    titles = [f"{each.title}, seed {each.seed}" if seeds else each.title for each in mine.design.conditions]
    trials = [
        {
            **asdict(t),
            "title": titles[t.condition],
            "choice": mine.votes[n]["choice"],
            "preferred": preferred(mine.votes[n]),
        }
        for n, t in enumerate(mine.trials)
        if n in mine.votes
    ]
    return {"trials": trials, "checks": passed_checks(mine)}


def _finished(test: BlindTest, owner: str) -> BlindTest:
    """Return the test to who made it and to who has finished it: the results tell who is who."""
    mine = test.mine(owner)
    if mine and mine.phase != "revealed":
        raise BadInput("The results name the voices; stop or finish your round first.")
    if not mine and not test.made_by(owner):
        raise BadInput(
            "The results are for who made this test and who has finished a round of it; begin one."
        )
    return test


def _owner(request: Request) -> str:
    return principal_of(request).required_owner


def _wav(data: bytes) -> Response:
    return Response(data, headers=PRIVATE, media_type="audio/wav")
