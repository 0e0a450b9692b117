"""The commands of `python -m personaplex_app`."""
