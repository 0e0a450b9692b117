"""The program: settings, the engine that this machine can run, the app around it, and its server.

`python -m personaplex_app serve` is the same, among other commands.
"""

import argparse
import os

from personaplex_app import logs
from personaplex_app.cli.arguments import add_settings
from personaplex_app.engine_choice import choose
from personaplex_app.errors import end, exit_code_of
from personaplex_app.settings import Settings


def main() -> None:
    """Run the app until it is told to stop."""
    parser = argparse.ArgumentParser(
        description="Talk with PersonaPlex-7B, compare its voices, and measure it."
    )
    add_settings(parser)
    settings = Settings.read(os.environ, vars(parser.parse_args()))
    logs.configure(settings.log_level, settings.log_format == "json", prints=True)

    # Gradio takes seconds to import; a setting that cannot be used is told before that
    from personaplex_app.application import create_app
    from personaplex_app.launch import launch

    engine = choose(settings)
    app = create_app(settings, engine)
    launch(app)


if __name__ == "__main__":
    end(exit_code_of(main))
