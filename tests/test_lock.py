"""The lock file beside the ranges: it is of these ranges, and names nobody's own package index."""

import re
import sys
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .support.app_process import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.unit

EXTRAS = {
    "es": ["requirements-es.txt"],
    "": ["requirements.txt"],
    "gpu": ["requirements-personaplex.txt"],
    "zerogpu": ["requirements-personaplex.txt", "requirements-zerogpu.txt"],
    "dev": ["requirements-dev.txt", "requirements-personaplex.txt", "requirements-zerogpu.txt"],
}


@pytest.fixture(scope="module")
def packages():
    return tomllib.loads((ROOT / "uv.lock").read_text())["package"]


def ranges_of(name: str) -> list[Requirement]:
    lines = ((ROOT / name).read_text()).splitlines()
    return [Requirement(text) for line in lines if (text := line.partition("#")[0].strip())]


def test_lock_is_of_the_ranges_in_the_requirements_files(packages):
    (ours,) = [package for package in packages if package["name"] == "personaplex-app"]
    locked = set()
    for each in ours["metadata"]["requires-dist"]:
        extra = re.search(r"extra == '(\w+)'", each.get("marker", ""))
        locked.add((extra[1] if extra else "", each["name"], frozenset(each["specifier"].split(","))))
    wanted = {
        (extra, canonicalize_name(each.name), frozenset(str(each.specifier).split(",")))
        for extra, names in EXTRAS.items()
        for each in chain.from_iterable(map(ranges_of, names))
    }
    assert locked == wanted, "the ranges changed; run: make lock"


def test_lock_holds_versions_within_the_ranges(packages):
    for requirement in chain.from_iterable(
        map(ranges_of, {name for names in EXTRAS.values() for name in names})
    ):
        versions = [
            each["version"] for each in packages if each["name"] == canonicalize_name(requirement.name)
        ]
        assert versions, requirement
        assert all(requirement.specifier.contains(version) for version in versions), (
            f"{requirement}: {versions}"
        )


def test_lock_names_the_public_index_alone():
    hosts = set(re.findall(r"\w+://([^/\"]+)", (ROOT / "uv.lock").read_text()))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}
