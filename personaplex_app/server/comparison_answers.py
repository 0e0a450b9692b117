"""The answers of comparisons: rendered once, kept by what they were made of, told as lane and measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import NotFound
from ..evaluation.comparison import Matched, measures
from ..rendering.cache import RenderCache
from ..rendering.render import Rendering

CACHE_BYTES = 2 << 30


class ComparisonAnswers:
    """Two caches: what anybody may hear again, and what is somebody's own, which does not outlive the app."""

    def __init__(self, folder: Path, private: RenderCache) -> None:
        self._kept = RenderCache(folder, CACHE_BYTES)
        self._private = private

    def cache(self, private: bool) -> RenderCache:
        """Return where answers go."""
        return self._private if private else self._kept

    def get(self, key: str) -> Rendering:
        """Return an answer by its key. Raises: NotFound."""
        found = self._kept.get(key) or self._private.get(key)
        if found is None:
            raise NotFound(
                "That answer is no longer in the cache; render the comparison again, which brings back the"
                " same."
            )
        return found

    def touch(self, key: str) -> None:
        """Keep an answer as one that was just used."""
        for cache in (self._kept, self._private):
            cache.touch(key)


def describe(matched: Matched) -> dict[str, Any]:
    """Return an answer's lane and measures."""
    return {
        **measures(matched.rendering),
        "gain_db": matched.agent_gain_db,
        "lane": matched.lane(),
        "duration_s": round(matched.rendering.duration_s, 2),
    }
