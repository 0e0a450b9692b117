"""What the documentation says exists: commands, settings, codes, rooms, files and links."""

import re
from dataclasses import fields
from pathlib import Path

import check_jsonschema
import pytest
from click.testing import CliRunner

from personaplex_app import protocol
from personaplex_app.cli.main import _parser
from personaplex_app.settings import Settings
from scripts.draw_architecture import FILE, draw

from .support.app_process import ROOT
from .test_structure import FLOORS

pytestmark = pytest.mark.unit

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[str]:
    """Return the lines of a page's blocks of shell commands, joined where they go on, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for each in lines if (line := each.partition(" #")[0].strip())]


def anchors(page: Path) -> set[str]:
    """Return what GitHub lets a page's headings be linked by."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower()).replace(" ", "-")
        found.add(next(each for each in (name, *(f"{name}-{n}" for n in range(1, 99))) if each not in found))
    return found


def table(title: str, text: str = PROTOCOL) -> dict[str, list[str]]:
    """Return the table under a heading: the other cells of each row by its first, without ticks."""
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert section, title
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in section[1].splitlines()
        if line.startswith("|")
    ]
    return {name: rest for first, *rest in rows[2:] for name in re.sub("[`| ]", "", first).split(",")}


def test_readme_is_short_and_shows_a_talk():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 150
    assert re.search(r'<img [^>]*src="assets/', readme)


@each_page
def test_page_links_to_what_exists(page):
    text = re.sub(r"`[^`\n]*`", lambda code: "" if "](" in code[0] else code[0], prose(page))
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text)
    for link in links:
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        to = (page.parent / path).resolve() if path else page
        assert to.exists(), f"{page.name} links to {link}, which is not there"
        assert ROOT in (to, *to.parents), f"{page.name} links out of the repository: {link}"
        assert not anchor or anchor in anchors(to), f"{page.name} links to {link}; there is no such heading"


@each_page
def test_page_names_files_that_exist(page):
    names = "personaplex_app|benchmarks|tests|examples|notebooks|scripts|docs|assets|deploy"
    for path in re.findall(rf"`((?:{names})/[\w./-]+)`", prose(page)):
        assert (ROOT / path).exists(), f"{page.name} names {path}, which is not there"


@each_page
def test_page_names_settings_and_targets_that_exist(page):
    known = {f.name for f in fields(Settings)}
    text = page.read_text()
    # the words of other commands' own flags stand in their blocks of code
    flags = {flag.replace("-", "_") for flag in re.findall(r"`--([a-z-]+)[ `=]", text)}
    variables = {name.lower() for name in re.findall(r"PERSONAPLEX_([A-Z_]+)", text)}
    ours = {option.lstrip("-").replace("-", "_") for options in all_options() for option in options}
    assert flags <= known | ours
    assert variables <= known
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|[`(])make (\w+)", text, re.MULTILINE):
        assert f"\n{target}:" in makefile, f"{page.name} says make {target}"


def all_options() -> list[set[str]]:
    """Return the options of each command of ours."""

    def of(parser) -> list[set[str]]:
        inner = [
            each
            for action in parser._actions
            if isinstance(action.choices, dict)
            for each in action.choices.values()
        ]
        return [
            {option for action in parser._actions for option in action.option_strings},
            *(o for each in inner for o in of(each)),
        ]

    return of(_parser())


@each_page
def test_page_shows_commands_that_are_understood(page):
    for command in commands(page):
        if not (
            found := re.search(r"(?:-m personaplex_app|personaplex-app) (.*)", command)
        ) or command.startswith("docker"):
            continue
        arguments = found[1].split(" && ")[0].replace('"', "").split()
        if "--text-prompt" in arguments:  # a sentence in quotes
            del arguments[arguments.index("--text-prompt") + 2 :]
        if "--help" in arguments:
            with pytest.raises(SystemExit, match="0"):
                _parser().parse_args(arguments)
        else:
            _parser().parse_args(arguments)


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("github-workflows", ".github/workflows/*.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/[!c]*.yml"),
    ],
)
def test_github_reads_our_files(schema, pattern):
    paths = sorted(ROOT.glob(pattern))
    assert paths
    done = CliRunner().invoke(
        check_jsonschema.main, ["--builtin-schema", f"vendor.{schema}", *map(str, paths)]
    )
    assert done.exit_code == 0, done.output


def test_pictures_are_small_and_shown_somewhere():
    text = "".join(page.read_text() for page in PAGES)
    pictures = sorted((ROOT / "assets").glob("*.png"))
    assert pictures
    for path in pictures:
        assert path.stat().st_size < 250_000, path.name
        assert path.name in text, f"no page shows {path.name}"


def test_architecture_page_has_every_room_on_its_floor():
    rows = table("Rooms", (ROOT / "docs" / "architecture.md").read_text())
    floors = {int(floor): set(re.findall(r"`([\w/]+?)/?`", rooms)) for floor, (rooms, *_) in rows.items()}
    assert floors == dict(enumerate(FLOORS, 1))


def test_architecture_picture_is_of_these_floors():
    assert FILE.read_text() == draw(), "the floors changed; run: python -m scripts.draw_architecture"


def test_operations_describe_every_setting_once():
    known = {f.name for f in fields(Settings)}
    first_cells = re.findall(r"^\| (.*?) \|", OPERATIONS.partition("## Health")[0], re.MULTILINE)
    named = [name for cell in first_cells for name in re.findall(r"`(?:--|PERSONAPLEX_)([\w-]+)`", cell)]
    assert sorted(name.lower().replace("-", "_") for name in named) == sorted(known)


def test_protocol_page_has_the_kinds_and_the_sampling_limits():
    kinds = {int(number): rest[0] for number, rest in table("Binary messages").items()}
    assert kinds == {kind.value: kind.name.lower() for kind in protocol.Kind}
    query = table("Connecting")
    for name, (least, most, whole) in protocol.SAMPLING_LIMITS.items():
        assert query[name][0] == f"{'whole number' if whole else 'number'}, {least:g} to {most}".replace(
            ".0", ""
        )


def test_protocol_page_names_every_route():
    code = "".join(path.read_text() for path in sorted((ROOT / "personaplex_app" / "server").rglob("*.py")))
    routes = set(re.findall(r'"(/(?:api|voice|ws|health|metrics)[\w/{}.]*)"', re.sub(r":int\}", "}", code)))
    assert len(routes) > 10
    missing = {route for route in routes if re.sub(r"\{.*", "", route) not in PROTOCOL}
    assert not missing
