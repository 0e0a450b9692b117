"""The app with an embedded engine that waits for its own work, for tests of pages: what it hears and says,
and when in the talk, is the same however busy the machine is.

    python -m tests.support.serve_lockstep serve --engine=classic
"""

import sys
from collections.abc import Sequence
from dataclasses import replace

from personaplex_app.classic.cascade import CascadeSession
from personaplex_app.classic.engine import ClassicEngine
from personaplex_app.cli import main as program
from personaplex_app.engine.contract import SessionConfig
from personaplex_app.server import talk_session

from .patience import PATIENCE_S

_open = ClassicEngine.open


def _open_in_lockstep(engine: ClassicEngine, config: SessionConfig) -> CascadeSession:
    return _open(engine, replace(config, realtime=False))


def main(arguments: Sequence[str] | None = None) -> int:
    ClassicEngine.open = _open_in_lockstep
    # a step waits for all that it needs, a voice that is loaded at its first word too
    talk_session.STEP_LIMIT_S = PATIENCE_S
    return program.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
