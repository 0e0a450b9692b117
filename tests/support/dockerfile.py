"""Run a Dockerfile without a container engine: its steps run in a folder that stands for the image's root."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from dockerfile_parse import DockerfileParser


@dataclass
class Image:
    """The result of the steps.

    Absolute paths of the Dockerfile lie under `root`; `path` is the PATH of the steps.
    """

    root: Path
    context: Path
    path: str
    env: dict[str, str] = field(default_factory=dict)
    workdir: Path = Path()
    user: str = "root"
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    health: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    base: str = ""

    def inside(self, path: str) -> Path:
        return self.root / path.lstrip("/") if path.startswith("/") else self.workdir / path

    def environ(self, **more: str) -> dict[str, str]:
        """Return a container's environment: the image's variables and `more`, as of `docker run -e`."""
        env = {
            name: str(self.inside(value)) if value.startswith("/") else value
            for name, value in self.env.items()
        }
        return {"PATH": self.path, **env, **more}


def build(dockerfile: Path, context: Path, root: Path, path: str) -> Image:
    """Run every step; an unknown instruction fails."""
    parser = DockerfileParser(fileobj=io.BytesIO(dockerfile.read_bytes()))
    image = Image(root, context, path)
    for step in parser.structure:
        if step["instruction"] != "COMMENT":
            getattr(_Steps, step["instruction"].lower())(image, step["value"])
    return image


def ignored(context: Path, source: str) -> bool:
    """Return whether .dockerignore excludes a source; the file must be `*` and exceptions of whole paths."""
    lines = [
        line
        for line in (context / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert lines[0] == "*"
    return f"!{source}" not in lines


class _Steps:
    @staticmethod
    def from_(image: Image, value: str) -> None:
        assert not image.base, "one stage is all that is read here"
        image.base = value

    @staticmethod
    def env(image: Image, value: str) -> None:
        image.env |= dict(word.split("=", 1) for word in shlex.split(value))

    @staticmethod
    def workdir(image: Image, value: str) -> None:
        image.workdir = image.inside(value)
        image.workdir.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def copy(image: Image, value: str) -> None:
        *sources, target = shlex.split(value)
        for source in sources:
            assert not source.startswith("-"), "no flag is read here"
            assert not ignored(image.context, source), f".dockerignore keeps {source} from the build"
            if (image.context / source).is_dir():
                shutil.copytree(
                    image.context / source, image.inside(target), ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(image.context / source, image.inside(target))

    @staticmethod
    def run(image: Image, value: str) -> None:
        assert image.user == "root", "after USER a step cannot write where the others did"
        subprocess.run(["/bin/sh", "-c", value], cwd=image.workdir, env=image.environ(), check=True)

    @staticmethod
    def volume(image: Image, value: str) -> None:
        image.volumes += tuple(json.loads(value))

    @staticmethod
    def expose(image: Image, value: str) -> None:
        assert value == image.env["PERSONAPLEX_PORT"]

    @staticmethod
    def user(image: Image, value: str) -> None:
        image.user = value

    @staticmethod
    def stopsignal(image: Image, value: str) -> None:
        image.stop_signal = value

    @staticmethod
    def healthcheck(image: Image, value: str) -> None:
        image.health = json.loads(value.partition(" CMD ")[2])

    @staticmethod
    def entrypoint(image: Image, value: str) -> None:
        image.entrypoint = json.loads(value)

    @staticmethod
    def cmd(image: Image, value: str) -> None:
        image.command = json.loads(value)


setattr(_Steps, "from", _Steps.from_)


def commands(folder: Path) -> str:
    """Return a PATH with this Python, and with a `pip` that logs its arguments and installs nothing."""
    folder.mkdir()
    (folder / "pip").write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(folder / "pip.log"))}\n')
    (folder / "pip").chmod(0o755)
    return os.pathsep.join([str(folder), os.path.dirname(sys.executable), os.defpath])
