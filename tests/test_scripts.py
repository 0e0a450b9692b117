"""The page's modules joined into few files."""

import httpx
import pytest
from starlette.applications import Starlette

from personaplex_app.ui import scripts
from personaplex_app.ui.scripts import FOREVER, PAGE, folder, joined, script_routes

pytestmark = pytest.mark.unit


@pytest.fixture
def modules(monkeypatch):
    """Modules by name, in place of the page's."""
    found: dict[str, str] = {}
    monkeypatch.setattr(scripts, "read_static", found.__getitem__)
    return found


def test_joined_module_has_what_it_imports_once_and_before_itself(modules):
    modules["a/one.js"] = (
        'import { two as zwei } from "../b/two.js";\nimport * as three from "./three.js";\n'
        "export const one = () => zwei() + three.three;\n"
    )
    modules["b/two.js"] = (
        'import { three } from "../a/three.js";\nexport function two() {\n  return three;\n}\n'
    )
    modules["a/three.js"] = "export const three = 3;\nexport class Three {}\n"
    text = joined("a/one.js", "b/two.js")
    heads = [line for line in text.splitlines() if line.startswith("const $")]
    assert heads == [f"const ${name} = (() => {{" for name in ("a_three", "b_two", "a_one")]
    assert "const {two: zwei} = $b_two;" in text.replace("{ ", "{").replace(" }", "}")
    assert "const three = $a_three;" in text
    assert "return { three, Three };" in text
    assert text.endswith("export { $a_one as one, $b_two as two };\n")
    assert "import" not in text


@pytest.mark.parametrize(
    "line",
    [
        'import x from "./y.js";',
        "export default 1;",
        "export let a = 1;",
        'export * from "./y.js";',
        "export { a };",
    ],
)
def test_module_that_cannot_be_joined_is_named(modules, line):
    modules["a/odd.js"] = f"const a = 1;\n{line}\n"
    with pytest.raises(ValueError, match=r"a/odd\.js cannot be joined"):
        joined("a/odd.js")


def test_modules_in_a_circle_are_named(modules):
    modules["a/one.js"] = 'import { two } from "./two.js";\n'
    modules["a/two.js"] = 'import { one } from "./one.js";\n'
    with pytest.raises(ValueError, match=r"a/one\.js imports itself by way of a/two\.js"):
        joined("a/one.js")


async def test_scripts_are_packed_kept_for_ever_and_never_kept_under_an_old_address():
    transport = httpx.ASGITransport(Starlette(routes=script_routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://app.test") as client:
        now = await client.get(f"/{folder()}/{PAGE}")
        assert now.headers["content-type"].startswith("text/javascript")
        assert (now.headers["content-encoding"], now.headers["cache-control"]) == ("gzip", FOREVER)
        assert "export { $talk_talk as talk," in now.text
        assert now.num_bytes_downloaded < 80_000
        old = await client.get(f"/scripts/0123456789abcdef/{PAGE}")
        assert (old.text, old.headers["cache-control"]) == (now.text, "no-store")
        missing = await client.get(f"/{folder()}/other.js")
        assert (missing.status_code, missing.json()["error"]) == (404, "not_found")
