"""Read YAML: an operator's file with line and field in every error, and the package's own files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from .errors import BadInput, SettingsError, SettingsFileError, shorten

T = TypeVar("T")
MAX_FILE_BYTES = 1 << 20
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Fields:
    """A mapping in the file. Take each known field once; `unused` then lists the unknown ones."""

    def __init__(self, file: str, node: yaml.Node, within: str) -> None:
        """Wrap the mapping `node` at the path `within` in the file, "" for the whole file.

        Raises: SettingsFileError when the node is no mapping, or names a field twice.
        """
        self._file = file
        self._within = within
        self._mark = node.start_mark
        self._nodes: dict[str, yaml.Node] = {}
        self._asked: list[str] = []
        self._inner: list[Fields] = []
        if not isinstance(node, yaml.MappingNode):
            raise _wrong(file, node, within or "the file", "it must be a mapping of fields")
        for key, value in node.value:
            name = str(key.value)
            if name in self._nodes:
                raise _wrong(file, key, self._path(name), "it is given twice")
            self._nodes[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

    def take(self, name: str, parse: Callable[[Any], T], default: T) -> T:
        """Return the parsed value of a field, `default` when it is absent or empty.

        `parse` raises ValueError with what the value must be, or BadInput with a whole sentence.
        Raises: SettingsFileError with line and field.
        """
        node = self._next(name)
        return default if node is None else self._parsed(node, self._path(name), parse)

    def take_list(self, name: str, parse: Callable[[Any], T], least: int, most: int) -> tuple[T, ...]:
        """Return the parsed values of a field that is a list of `least` to `most`, () when it is absent.

        Raises: SettingsFileError as `take` does, with the line of the wrong value.
        """
        node = self._next(name)
        if node is None:
            return ()
        path = self._path(name)
        if not isinstance(node, yaml.SequenceNode) or not least <= len(node.value) <= most:
            raise _wrong(self._file, node, path, f"it must be a list of {least} to {most} values")
        return tuple(self._parsed(each, f"{path}[{number}]", parse) for number, each in enumerate(node.value))

    def _next(self, name: str) -> yaml.Node | None:
        self._asked.append(name)
        node = self._nodes.pop(name, None)
        # a field without a value counts as absent
        return None if node is None or node.tag == "tag:yaml.org,2002:null" else node

    def _parsed(self, node: yaml.Node, path: str, parse: Callable[[Any], T]) -> T:
        if not isinstance(node, yaml.ScalarNode):
            raise _wrong(self._file, node, path, "it must be a single value")
        try:
            # built from the node only here, so that an error still knows the node's line
            value = yaml.constructor.SafeConstructor().construct_object(node)
        except Exception:
            # for a tag that does not fit its value the library raises whatever it stumbles over
            value = node.value
        try:
            return parse(value)
        except ValueError as error:
            raise _wrong(self._file, node, path, f"it is {shorten(value)}; it must be {error}") from None
        except BadInput as error:
            raise _wrong(self._file, node, path, str(error).rstrip(".")) from None

    def mapping(self, name: str) -> Fields:
        """Return a field that is a mapping, an empty one when it is absent."""
        node = self._next(name)
        if node is None:
            node = yaml.MappingNode("tag:yaml.org,2002:map", [], self._mark)
        self._inner.append(Fields(self._file, node, self._path(name)))
        return self._inner[-1]

    def mappings(self, name: str) -> list[Fields]:
        """Return a field that is a list of mappings.

        Raises: SettingsFileError when it is absent or no such list.
        """
        node = self._next(name)
        if not isinstance(node, yaml.SequenceNode):
            raise SettingsFileError(
                f"{self._file}, line {(node.start_mark if node else self._mark).line + 1}, field"
                f" {self._path(name)}: give a list."
            )
        found = [
            Fields(self._file, each, f"{self._path(name)}[{number}]")
            for number, each in enumerate(node.value)
        ]
        self._inner += found
        return found

    def refused(self, name: str, why: str) -> SettingsFileError:
        """Return the error for a field that conflicts with others, at the line where its mapping begins."""
        return SettingsFileError(
            f"{self._file}, line {self._mark.line + 1}, field {self._path(name)}: {why}."
        )

    def end(self) -> None:
        """Check that every field was taken.

        Raises: SettingsFileError for the first unknown field, with the known ones.
        """
        for name, node in self._nodes.items():
            raise _wrong(
                self._file,
                node,
                self._path(name),
                f"there is no such field; the fields are {', '.join(self._asked)}",
            )

    def unused(self) -> list[str]:
        """Return line and path of each field that was not taken, in this mapping and those inside it."""
        here = [f"line {_line(node)}, field {self._path(name)}" for name, node in self._nodes.items()]
        return [*here, *(each for inner in self._inner for each in inner.unused())]

    def _path(self, name: str) -> str:
        return f"{self._within}.{name}" if self._within else name


def read_fields(path: Path, list_name: str = "") -> Fields:
    """Read a YAML file that is one mapping; with a `list_name`, one that is a list becomes that field.

    Raises: SettingsFileError when the file cannot be read, is too large or is no YAML, with the line.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SettingsFileError(
                f"The file {path.name} is larger than {MAX_FILE_BYTES:,} bytes, which is the limit."
            )
        node = yaml.compose(path.read_text("utf-8"), _LOADER)
    except FileNotFoundError:
        raise SettingsFileError(f"The file {path.absolute()} is not there; check its path.") from None
    except IsADirectoryError:
        raise SettingsFileError(f"{path.absolute()} is a folder; name the YAML file in it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsFileError(
            f"The file {path.name} cannot be read ({type(error).__name__}); check that it may be read and is"
            " UTF-8."
        ) from None
    except RecursionError:
        raise SettingsFileError(f"The file {path.name} is nested too deeply; fix its YAML.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsFileError(
            f"{path.name}{where}: it is not YAML ({getattr(error, 'problem', None) or type(error).__name__})."
        ) from None
    if node is None:
        raise SettingsFileError(f"The file {path.name} is empty.")
    if list_name and isinstance(node, yaml.SequenceNode):
        name = yaml.ScalarNode("tag:yaml.org,2002:str", list_name, node.start_mark, node.start_mark)
        node = yaml.MappingNode("tag:yaml.org,2002:map", [(name, node)], node.start_mark, node.end_mark)
    return Fields(path.name, node, "")


def load_yaml(path: Path) -> Any:
    """Load one of the package's own YAML files, with libyaml's faster parser if it is installed.

    Raises: SettingsError when the file cannot be read.
    """
    try:
        return yaml.load(path.read_text("utf-8"), _LOADER)  # noqa: S506 (both are safe loaders)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(
            f"The file {path.name} cannot be read ({type(error).__name__}); restore it or fix its YAML."
        ) from error


def text(value: Any) -> str:
    """Return a value that must be text, without outer white space. Raises: ValueError."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("text")
    return value.strip()


def line_of_text(most_chars: int) -> Callable[[Any], str]:
    """Return a parser of one line of text of at most so many characters."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or not value.strip() or "\n" in value or len(value) > most_chars:
            raise ValueError(f"one line of text, not empty and at most {most_chars} characters")
        return value.strip()

    return parse


def flag(value: Any) -> bool:
    """Return a value that must be true or false. Raises: ValueError."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def number(low: float, high: float, whole: bool = False) -> Callable[[Any], Any]:
    """Return a parser of numbers from `low` to `high`."""

    def parse(value: Any) -> float | int:
        # NaN fails the comparison, and a bool would be an int
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
            or (whole and value != int(value))
        ):
            raise ValueError(f"{'a whole number' if whole else 'a number'} from {low:g} to {high:g}")
        return int(value) if whole else value

    return parse


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _wrong(file: str, node: yaml.Node, path: str, what: str) -> SettingsFileError:
    return SettingsFileError(f"{file}, line {_line(node)}, field {path}: {what}.")
