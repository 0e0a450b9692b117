"""The functions that the notebooks call, one for each cell."""

from .live_app import LiveApp, open_app
from .study import Study, check_machine, prepare, score, use_colab_token

__all__ = ["LiveApp", "Study", "check_machine", "open_app", "prepare", "score", "use_colab_token"]
