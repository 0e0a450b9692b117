"""The functions that the notebooks call, one for each cell."""

from .study import LiveApp, Study, check_machine, open_app, prepare, score, use_colab_token

__all__ = ["LiveApp", "Study", "check_machine", "open_app", "prepare", "score", "use_colab_token"]
