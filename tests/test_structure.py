"""The house is built as drawn: each module imports only from the floors below its own."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "personaplex_app"
FLOORS = [
    {"errors", "hosting", "logs", "settings", "units"},
    {"audio", "codec", "protocol", "gateway", "yaml_fields"},
    {"personas", "voices", "adapters"},
    {"model"},
    {"engine", "classic"},
    {"sessions", "metrics", "evaluation", "cloning"},
    {"server", "ui"},
    {"doctor", "bench", "notebook", "notebook_votes", "space", "__main__"},
]
FORBIDDEN = {1: {"numpy", "torch", "asyncio", "gradio"}, 2: {"torch", "asyncio", "gradio"}}


def floor_of(part: str) -> int:
    return next(n for n, parts in enumerate(FLOORS, 1) if part in parts)


def imports_of(path: Path) -> set[tuple[str, ...]]:
    """The modules that a file imports, ours as ("personaplex_app", part, …)."""
    package = ("personaplex_app", *path.relative_to(PACKAGE).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            found |= {(*module, alias.name) if len(module) == 1 else module for alias in node.names}
    return found


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_from_floors_at_or_below_its_own(path):
    floor = floor_of(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))
    for module in imports_of(path):
        if module[0] == "personaplex_app" and module[1:2] not in ((), ("__version__",)):
            assert floor_of(module[1]) <= floor, f"{path.name} is on floor {floor} and imports {'.'.join(module)}"
        assert module[0] not in FORBIDDEN.get(floor, set()), f"{path.name} is on floor {floor} and imports {module[0]}"


def test_app_fits_a_screen():
    assert len((ROOT / "app.py").read_text().splitlines()) <= 40


def test_no_module_is_longer_than_500_lines():
    long = [path.name for path in [*MODULES, *PACKAGE.rglob("*.js")] if len(path.read_text().splitlines()) > 500]
    assert not long
