"""Evaluations of the page: held in free slots, one at a time, the last few kept; and zips of somebody's
outputs, within limits.
"""

import zipfile

import pytest

from personaplex_app.engine_choice import Choice
from personaplex_app.errors import BadInput, CapacityError, NotFound, UnknownVoice
from personaplex_app.evaluation.conversation_folder import CONVERSATIONS
from personaplex_app.evaluation.fdb import archive as archives
from personaplex_app.evaluation.fdb.archive import unpack
from personaplex_app.evaluation.run import RunPlan
from personaplex_app.evaluation.scenarios import choose_scenarios, load_scenarios
from personaplex_app.principal import NOBODY
from personaplex_app.server.app_state import AppState
from personaplex_app.server.askers import GRACE_S, Askers
from personaplex_app.server.evaluations import RUNS_KEPT, Evaluations
from personaplex_app.settings import Settings


def no_note(text: str) -> None:
    raise AssertionError(text)


def zipped(path, files: dict[str, bytes]):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def files_below(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def unpacked(tmp_path, files: dict[str, bytes]):
    (tmp_path / "into").mkdir()
    return unpack(zipped(tmp_path / "a.zip", files), tmp_path / "into", no_note)


@pytest.mark.parametrize(
    "above", ["", "root/", "a/root/", "home/me/exp/a/b/c/", "outputs\\", "Übung/", "u\u0308/"]
)
@pytest.mark.parametrize("upper", [False, True])
def test_unpack_samples_are_found_wherever_they_lie(tmp_path, above, upper):
    names = ("output.json", "output.wav")
    given = [name.upper() for name in names] if upper else names
    between = "\\" if "\\" in above else "/"
    system = {"__MACOSX/1/._output.json": b"", f"{above}.DS_Store": b""}
    root = unpacked(
        tmp_path, {f"{above}{k}{between}{name}": b"{}" for k in (1, 2) for name in given} | system
    )
    assert files_below(root) == [f"{k}/{name}" for k in (1, 2) for name in names]


def test_unpack_what_lies_beside_is_passed_over_and_named_once(tmp_path):
    samples = {f"out/{k}/output.json": b"{}" for k in (1, 2)}
    beside = {"out/results.json": b"{}", "out/logs/run.log": b"", "readme.txt": b"", "out/2/run.sh": b"rm"}
    notes = []
    root = unpack(zipped(tmp_path / "a.zip", samples | beside), tmp_path / "into", notes.append)
    assert files_below(root) == ["1/output.json", "2/output.json"]
    assert notes == [
        "Passed over, as no part of a sample: 'out/results.json', 'out/logs/run.log', 'readme.txt' and 1"
        " more."
    ]


def test_unpack_samples_of_several_folders_keep_apart(tmp_path):
    root = unpacked(
        tmp_path, {f"exp/{task}/{k}/output.json": b"{}" for task in ("pause", "turn") for k in (1, 2)}
    )
    assert sorted(path.name for path in root.iterdir()) == ["pause-1", "pause-2", "turn-1", "turn-2"]


def test_unpack_a_single_sample_needs_no_folder(tmp_path):
    assert files_below(unpacked(tmp_path, {"output.json": b"{}"})) == ["sample/output.json"]


def test_unpack_names_of_macos_are_utf8_though_they_do_not_say_so(tmp_path):
    path = zipped(tmp_path / "a.zip", {"Gr\N{LATIN SMALL LETTER SHARP S}e/output.json": b"{}"})
    # the flag that says so, in the entry's header and in the list of names
    data = bytearray(path.read_bytes())
    for magic, at in ((b"PK\3\4", 7), (b"PK\1\2", 9)):
        data[data.index(magic) + at] &= ~0x08
    path.write_bytes(data)
    assert files_below(unpack(path, tmp_path / "into", no_note)) == ["Grße/output.json"]


@pytest.mark.parametrize(
    "name",
    [
        "../output.json",
        "a/../../output.json",
        "..\\output.json",
        "a\\..\\..\\output.json",
        ".hidden/output.json",
    ],
)
def test_unpack_names_that_lead_elsewhere_are_left_out(tmp_path, name):
    path = zipped(tmp_path / "a.zip", {name: b"{}", "1/output.json": b"{}", "2/output.json": b"{}"})
    root = unpack(path, tmp_path / "into", lambda text: None)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")) == [
        "into/1/output.json",
        "into/2/output.json",
    ]
    assert root == tmp_path / "into"


@pytest.mark.parametrize("above", ["/home/ann/out/", "C:\\out\\", "c:/out/", "//server/out/", "./out//"])
def test_unpack_names_that_begin_at_the_root_are_taken_into_the_folder(tmp_path, above):
    names = {f"{above}{k}{'/' if '/' in above else chr(92)}output.json": b"{}" for k in (1, 2)}
    assert files_below(unpacked(tmp_path, names)) == ["1/output.json", "2/output.json"]


def test_unpack_links_are_left_out_and_named(tmp_path):
    path = zipped(tmp_path / "a.zip", {"1/output.json": b"{}", "2/output.json": b"{}"})
    link = zipfile.ZipInfo("3/output.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr(link, "/etc/passwd")
    notes = []
    assert files_below(unpack(path, tmp_path / "into", notes.append)) == ["1/output.json", "2/output.json"]
    assert notes == ["Passed over, as no part of a sample: '3/output.json' (a link)."]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"PK\3\4" + bytes(60), "it has a password, or is damaged or cut off"),
        (b"\x1f\x8b\x08" + bytes(60), "it is a gzip archive; unpack it first"),
        (b"Rar!\x1a\7\1\0", "it is a rar archive; unpack it first"),
        (b"7z\xbc\xaf\x27\x1c", "it is a 7z archive; unpack it first"),
        (b"<!doctype html>", "it is a web page"),
        (b"something", "it is no zip"),
    ],
)
def test_unpack_names_what_stands_in_place_of_a_zip(tmp_path, content, told):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(BadInput, match=f"cannot be unpacked: {told}"):
        unpack(tmp_path / "a.zip", tmp_path / "into", no_note)


def test_unpack_what_is_too_large_or_no_zip_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1 << 20)
    with pytest.raises(BadInput, match="more than 1 MiB"):
        unpacked(tmp_path, {"1/output.wav": bytes(2 << 20)})
    (tmp_path / "b.zip").write_bytes(b"no zip")
    with pytest.raises(BadInput, match="cannot be unpacked"):
        unpack(tmp_path / "b.zip", tmp_path / "into", no_note)
    with pytest.raises(BadInput, match=r"holds no sample: .*; it holds 'readme.txt'"):
        unpack(zipped(tmp_path / "c.zip", {"readme.txt": b"hello"}), tmp_path / "into", no_note)
    monkeypatch.setattr(archives, "MAX_FILES", 2)
    with pytest.raises(BadInput, match="3 files of samples; at most 2"):
        unpack(
            zipped(tmp_path / "d.zip", {f"{n}/output.json": b"{}" for n in range(3)}),
            tmp_path / "into",
            no_note,
        )


def test_unpack_a_damaged_file_costs_only_itself(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("1/output.json", b"{}")
        file.writestr("2/output.json", b"[1, 2]")
    path.write_bytes(path.read_bytes().replace(b"[1, 2]", b"[1, 3]"))
    notes = []
    assert files_below(unpack(path, tmp_path / "into", notes.append)) == ["1/output.json"]
    assert notes == ["'2/output.json' is damaged or has a password, and was left out."]


def test_unpack_a_zip_within_a_zip_is_told(tmp_path):
    path = zipped(tmp_path / "a.zip", {"outputs.zip": b"PK"})
    with pytest.raises(BadInput, match="A zip within a zip is not opened: unpack it first"):
        unpack(path, tmp_path / "into", no_note)


def test_unpack_more_names_than_may_be_looked_through_is_refused_before(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", {f"{n}/{'x' * 99}": b"" for n in range(99)})
    assert path.stat().st_size > 20_000
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 10_000)
    monkeypatch.setattr("zipfile.ZipInfo", None)
    with pytest.raises(BadInput, match="too many files to look through"):
        unpack(path, tmp_path / "into", no_note)


def test_unpack_a_name_twice_and_a_file_too_long_cost_only_themselves(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 1 << 20)
    path = zipped(
        tmp_path / "a.zip", {"1/output.json": b"{}", "2/output.json": b"{}", "2/output.wav": bytes(2 << 20)}
    )
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("1/output.json", b"[]")
    notes = []
    root = unpack(path, tmp_path / "into", notes.append)
    assert (root / "1" / "output.json").read_bytes() == b"{}"
    assert not (root / "2" / "output.wav").exists()
    assert notes == [
        "'2/output.wav' has 2 MiB and was left out; cut it to 600 s or less.",
        "The zip holds '1/output.json' twice; the first is scored, take the other out.",
    ]


@pytest.fixture
def app_state(tmp_path):
    app_state = AppState.build(Settings(engine="echo", data=tmp_path), Choice("echo", ""))
    yield app_state
    app_state.library.close()


@pytest.fixture
def evaluations(app_state):
    return Evaluations(app_state)


@pytest.mark.parametrize(
    ("run_id", "name"),
    [("../../etc", "report.html"), ("0" * 32, "report.html"), ("0" * 32, "../secret"), ("x", "run.json")],
)
def test_file_of_no_report_is_not_found(evaluations, tmp_path, run_id, name):
    (tmp_path / "evaluations" / ("0" * 32)).mkdir(parents=True)
    (tmp_path / "evaluations" / "secret").write_text("secret")
    with pytest.raises(NotFound, match="no such report"):
        evaluations.file(run_id, name)


async def test_run_with_too_many_conversations_says_what_may_be_asked(evaluations):
    with pytest.raises(BadInput, match="90 conversations; the page holds up to 60"):
        async for _ in evaluations.run(RunPlan(load_scenarios(), ("echo",), (0, 1, 2)), dnsmos=False):
            pass


async def told(evaluations, *names: str, voices=("echo",)) -> list:
    plan = RunPlan(choose_scenarios(names, load_scenarios()), voices, (0,))
    return [each async for each in evaluations.run(plan, dnsmos=False)]


@pytest.mark.slow
async def test_run_reports_and_asking_again_holds_nothing_anew(evaluations, app_state):
    async with app_state.open():
        first = await told(evaluations, "noise-knocks", "turn-short")
        page = evaluations.file(first[-1].report, "report.html")
        assert "Knocks on the table" in page.read_text()
        assert (first[-1].done, first[-1].total) == (2, 2)
        held = {path: path.stat().st_mtime_ns for path in page.parent.glob(f"{CONVERSATIONS}/*/unit.json")}
        assert len(held) == 2
        again = await told(evaluations, "noise-knocks", "turn-short")
        assert again[-1].report == first[-1].report
        assert {path: path.stat().st_mtime_ns for path in held} == held


async def test_run_beside_another_waits_for_it_and_the_oldest_are_let_go(evaluations, app_state, tmp_path):
    for number in range(RUNS_KEPT + 2):
        (tmp_path / "evaluations" / f"{number:032x}" / "units").mkdir(parents=True)
    async with app_state.open():
        plan = RunPlan(choose_scenarios(["turn-short"], load_scenarios()), ("echo",), (0,))
        running = evaluations.run(plan, dnsmos=False)
        await anext(running)
        waiting = evaluations.run(plan, dnsmos=False)
        assert "yours begins when it has ended" in (await anext(waiting)).text
        await running.aclose()
        # what was stopped stays, and somebody else goes on
        report = [each async for each in waiting][-1].report
    kept = [path.name for path in (tmp_path / "evaluations").iterdir()]
    assert report in kept
    assert len(kept) == RUNS_KEPT


async def test_run_that_nobody_waits_for_is_stopped_and_the_next_begins(evaluations, app_state):
    now_s = [0.0]
    askers = Askers(lambda: now_s[0])
    plan = RunPlan(choose_scenarios(["turn-short"], load_scenarios()), ("echo",), (0,))
    async with app_state.open():
        left = evaluations.run(plan, False, askers.asker(NOBODY, "gone"))
        await anext(left)
        now_s[0] = GRACE_S + 1
        with pytest.raises(CapacityError, match="Nobody waits"):
            await anext(left)
        assert (await told(evaluations, "turn-short"))[-1].report


async def test_run_with_a_voice_that_the_engine_has_not_is_refused(evaluations, app_state):
    async with app_state.open():
        with pytest.raises(UnknownVoice, match="choose of: echo"):
            await told(evaluations, "turn-short", voices=("nobody",))
