"""The command line: `python -m personaplex_app COMMAND`."""

from .cli.main import main
from .errors import end


def run() -> None:
    """Run one command and end the process."""
    end(main())


if __name__ == "__main__":
    run()
