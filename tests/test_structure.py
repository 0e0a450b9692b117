"""The rooms of the package: every import points to a floor below, so no two rooms can need each other."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # it reads all that there is

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "personaplex_app"
# A room is a module or a folder of the package, or a folder of a folder. A module may import from its own
# room, and from the rooms of the floors strictly below.
FLOORS = [
    {
        "addresses",
        "atomic",
        "errors",
        "foreign_files",
        "intervals",
        "json_input",
        "languages",
        "logs",
        "platform_detection",
        "protocol_events",
        "units",
    },
    {"protocol_fields", "protocol_orders", "wav_layout"},
    {"audio", "metrics", "principal", "protocol", "settings", "voices", "yaml_fields"},
    {"codec", "model", "personas"},
    {"engine", "gateway"},
    {"sessions", "speech"},
    {"cloning", "rendering", "responder"},
    {"classic", "evaluation/blind_test", "evaluation/fdb"},
    {"engine_choice", "evaluation"},
    {"engine_bench", "server", "ui/static"},
    {"server/routes", "ui"},
    {"application"},
    {"launch"},
    {"cli"},
    {"notebook", "__main__"},
]
ROOMS = set().union(*FLOORS)
SLOW_IMPORTS = frozenset({"torch", "asyncio", "gradio"})
FORBIDDEN = {
    ("errors", "settings", "units", "logs", "principal"): SLOW_IMPORTS | {"numpy"},
    ("audio", "protocol", "codec", "gateway", "yaml_fields", "personas", "voices"): SLOW_IMPORTS,
    ("protocol_events", "protocol_orders"): SLOW_IMPORTS,
    ("model", "engine", "speech", "responder", "classic", "sessions"): {"gradio", "starlette"},
}


def room_of(parts: tuple[str, ...]) -> str:
    """Return the room that a module belongs to, given as its path below the package."""
    inner = "/".join(parts[:2])
    return inner if inner in ROOMS else parts[0]


def floor_of(room: str) -> int:
    return next(n for n, rooms in enumerate(FLOORS, 1) if room in rooms)


@cache
def statements(path: Path) -> list[ast.stmt]:
    """Return the imports and assignments of a file."""
    wanted = ast.Import, ast.ImportFrom, ast.Assign
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, wanted)]


def imports_of(path: Path) -> set[tuple[str, ...]]:
    """Return what a file imports, each name with its module: ours as ("personaplex_app", part, …)."""
    package = ("personaplex_app", *path.relative_to(PACKAGE).parent.parts)
    found = set()
    for node in statements(path):
        if isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            found |= {(*module, alias.name) for alias in node.names}
    return found


MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE
)


def wrong_imports(path: Path) -> Iterator[str]:
    """Yield what is wrong with a module's imports."""
    room = room_of(path.relative_to(PACKAGE).with_suffix("").parts)
    forbidden = {name for rooms, names in FORBIDDEN.items() if room in rooms for name in names}
    for module in imports_of(path):
        ours = module[0] == "personaplex_app" and module[1:2] not in ((), ("__version__",))
        other = room_of(module[1:]) if ours else room
        if module[0] in forbidden or (other != room and floor_of(other) >= floor_of(room)):
            yield f"{path.relative_to(PACKAGE)} is in {room} and imports {'.'.join(module)}"


def test_modules_import_only_from_their_room_and_the_floors_below():
    assert [wrong for path in MODULES for wrong in wrong_imports(path)] == []


def test_every_room_has_a_floor_and_every_floor_its_rooms():
    there = {room_of(path.relative_to(PACKAGE).with_suffix("").parts) for path in MODULES}
    assert there == ROOMS


SOURCES = sorted(
    path for folder in ("personaplex_app", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)


def names_in(target: ast.expr) -> int:
    return sum(map(names_in, target.elts)) if isinstance(target, ast.Tuple | ast.List) else 1


def test_assignment_gives_values_to_at_most_three_names():
    """Counted are the names on the left of one `=`, whatever is on the right; a loop's own are not."""
    targets = [
        (path, target)
        for path in SOURCES
        for node in statements(path)
        if isinstance(node, ast.Assign)
        for target in node.targets
    ]
    assert [f"{path}:{target.lineno}" for path, target in targets if names_in(target) > 3] == []


def test_app_fits_a_screen():
    assert len((ROOT / "app.py").read_text().splitlines()) <= 40


def test_newcomers_path_is_under_1000_lines():
    """What somebody reads to know what the program is and how it is put together, in this order."""
    path = [
        "README.md",
        "app.py",
        "personaplex_app/protocol.py",
        "personaplex_app/engine/contract.py",
        "personaplex_app/engine/echo.py",
        "tests/support/fakes.py",
    ]
    assert sum(len((ROOT / name).read_text("utf-8").splitlines()) for name in path) < 1_000


def test_no_module_is_longer_than_500_lines():
    long = [
        path.name for path in [*MODULES, *PACKAGE.rglob("*.js")] if len(path.read_text().splitlines()) > 500
    ]
    assert not long
