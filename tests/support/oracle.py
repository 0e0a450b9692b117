"""Make the `moshi` package importable as an independent reference; `make test` puts it into a folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("NO_TORCH_COMPILE", "1")  # compiling a tiny model takes half a minute
FOLDER = Path(sys.prefix) / "oracle"
if FOLDER.is_dir() and str(FOLDER) not in sys.path:
    sys.path.append(str(FOLDER))
