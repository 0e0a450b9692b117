"""Everything behind the Compare tab of one app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import anyio

from .app_state import AppState
from .blind_comparisons import BlindComparisons
from .comparison_answers import ComparisonAnswers
from .comparison_inputs import ComparisonInputs
from .comparison_runs import ComparisonRuns
from .threads import in_thread

T = TypeVar("T")


class Comparisons:
    """What is said, the answers, the runs that render them, and the blind tests made of them."""

    def __init__(self, app_state: AppState) -> None:
        folder = app_state.settings.data / "comparisons"
        # one at a time: live talks need the cores more
        self._heavy = anyio.CapacityLimiter(1)
        self._light = anyio.CapacityLimiter(2)
        self.app_state = app_state
        self.inputs = ComparisonInputs(app_state)
        self.answers = ComparisonAnswers(folder / "renderings", app_state.renderings)
        self.runs = ComparisonRuns(app_state, self.inputs, self.answers, self._heavy)
        self.blind = BlindComparisons(
            folder / "tests", app_state.settings, self.answers, app_state.transcriber
        )

    def close(self) -> None:
        """Upload the last votes where they are uploaded."""
        self.blind.close()

    async def heavy(self, work: Callable[..., T], *args: Any) -> T:
        """Run work that takes long in a thread, one at a time."""
        return await in_thread(self._heavy, work, *args)

    async def light(self, work: Callable[..., T], *args: Any) -> T:
        """Run work that somebody who listens waits for in a thread, apart from what takes long."""
        return await in_thread(self._light, work, *args)
