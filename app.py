"""Start the app with the settings of the environment; `python -m personaplex_app serve --help` names them."""

import sys

from personaplex_app.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["serve"]))
