"""Both notebooks are executed as they are, their choices set to what is quick; and their form is what it
should be.
"""

import io
import json
import os
import re
import shlex
import shutil
import socket
import sys
import time
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import quote

import nbformat
import pytest
from nbclient import NotebookClient

from personaplex_app.errors import BadInput, EngineError
from personaplex_app.evaluation.conversation_folder import read_results
from personaplex_app.notebook import live_app, study
from personaplex_app.notebook.blind_test import NotebookBlindTest

from .support.app_process import ROOT, free_port
from .support.blind_test_voters import Clock
from .support.patience import PATIENCE_S
from .support.pip_resolution import resolve

# the kernel and its sockets are another program's, as are their warnings
pytestmark = [
    pytest.mark.process,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]

BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def executed(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **choices: object) -> list[str]:
    """Run a notebook with other choices; return what each code cell printed and showed."""
    book = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    for cell in book.cells:
        for key, value in choices.items():
            cell.source = re.sub(
                rf"^{key} = .*?( #@param.*)$",
                lambda m, k=key, v=value: f"{k} = {v!r}{m[1]}",
                cell.source,
                flags=re.M,
            )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(folder))  # where the app's log goes
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    NotebookClient(
        book, timeout=PATIENCE_S, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return [
        "".join(str(out.get("text", "")) + str(out.get("data", "")) for out in cell.outputs)
        for cell in book.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.name)
def test_notebook_has_no_outputs_one_call_a_cell_and_a_text_before_each(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert "parameters" in code[0].metadata.tags
    # nothing that it installs is torch, and what it adds to the app is what the model needs beside it
    line = next(line for line in code[1].source.splitlines() if "%pip install" in line)
    assert "-c kept.txt" in line
    beside = [
        each
        for each in (ROOT / "requirements-personaplex.txt").read_text().splitlines()
        if not each.startswith(("#", "torch"))
    ]
    assert re.findall(r'"(\w+[<>=][^"]+)"', line) == beside
    for before, cell in zip(book.cells, book.cells[1:], strict=False):
        if cell.cell_type == "code" and "ranking" not in cell.source:
            assert before.cell_type == "markdown"
    for cell in code[2:]:
        assert (
            1
            <= len(re.findall(r"^(?:[\w.]+ = )?(?:notebook|study|app)\.\w+\(", cell.source, flags=re.M))
            <= 2
        )


def test_evaluation_notebook_runs_from_the_first_cell_to_the_last(tmp_path, monkeypatch):
    told = executed(
        "personaplex_evaluation.ipynb",
        tmp_path,
        monkeypatch,
        KINDS="silence",
        VOICES="natural, warm",
        CHOICE="tie",
        END=True,
    )
    everything = "\n".join(told)
    expected = (
        "2 conversations, about",
        "2 of 2 done",
        "Silence",
        "Pair 1 of 3",
        "Preliminary",
        "report.html",
        "Tick TALK",
        # what a figure means stands below it
        "Share of the agent's sound below -50 dB",
    )
    for sentence in (*expected, "Nothing was counted: this pair is shown only now"):
        assert sentence in everything, sentence
    assert "<svg" in everything
    assert "data:audio/mpeg" in everything
    assert len(read_results(tmp_path / "study")) == 2
    assert {path.name for path in (tmp_path / "study").iterdir()} >= {"report.html", "report.json", "votes"}
    assert (tmp_path / "study.zip").stat().st_size > 100_000
    assert_votes_follow_the_rules(tmp_path / "study")


def assert_votes_follow_the_rules(folder: Path) -> None:
    clock = Clock()
    clock.now_s = time.time()
    ballots = NotebookBlindTest(folder, "classic", ("natural", "warm"), clock)  # a kernel started anew
    assert "Pair 1 of 3" in ballots.take("")
    clock.now_s += 60
    assert "Pair 2 of 3" in (shown := ballots.take("A"))
    assert "Listen to them first" in ballots.take("A")
    assert not re.search("natural|warm", re.sub("data:[^']*", "", shown))
    assert "Pair 1 of 3" in ballots.take("undo")
    assert "no vote of yours to undo" in ballots.take("undo")
    assert "still to be heard" in ballots.take("reveal")
    for _ in range(3):
        clock.now_s += 60
        shown = ballots.take("B")
    assert "Every pair has its vote" in shown
    assert "Every pair has its vote" in ballots.take("A")
    told = ballots.take("reveal")
    assert "natural" in told
    assert "Hidden checks" in told
    assert "1 votes" in ballots.ranking()
    votes = [
        json.loads(line) for line in next((folder / "votes").glob("*/votes.jsonl")).read_text().splitlines()
    ]
    vote = next(each for each in votes if each["kind"] == "vote")
    assert (vote["heard_s"], vote["time_to_vote_s"] >= 60) == (None, True)
    with pytest.raises(
        BadInput, match="CHOICE is 'C'; it must be one of A, B, tie, both bad, undo, reveal, or empty"
    ):
        ballots.take("C")


def test_demo_notebook_starts_the_app_and_prints_the_link(tmp_path, monkeypatch):
    told = executed("personaplex_demo.ipynb", tmp_path, monkeypatch, ENGINE="echo", SHARE=False, END=True)
    everything = "\n".join(told)
    assert re.search(r"The app is at http://localhost:\d+", everything)
    assert "<svg" in everything
    assert "Echo was heard" in everything
    assert "This only says back what it hears." in everything


def test_install_cell_keeps_the_torch_and_numpy_that_are_there_and_asks_for_no_other_torch(
    tmp_path, monkeypatch
):
    """The cell itself, its installer noting what it is asked; then what pip would do with it, for a machine
    with Colab's versions.
    """
    cell = next(cell for cell in nbformat.read(BOOKS[0], as_version=4).cells if cell.id == "cell-03")
    source = re.sub(r"%pip (.*)", lambda m: f"asked = f{m[1]!r}", cell.source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told = {"SOURCE": str(ROOT)}
    exec(source, told)
    assert f'"{ROOT}"' in told["asked"]
    assert {"torch": version("torch"), "numpy": version("numpy")}.items() <= told["kept"].items()
    assert (tmp_path / "kept.txt").read_text().splitlines() == [
        f"{name}=={kept}" for name, kept in told["kept"].items()
    ]

    colab = tmp_path / "colab.txt"  # of June 2026, as far as they are asked for
    colab.write_text(
        "torch==2.11.0\nnumpy==2.0.2\nscipy==1.16.3\npandas==2.2.2\nhttpx==0.28.1\nprotobuf==5.29.6\npydantic==2.12.3\n"
    )
    wanted = tmp_path / "wanted.txt"
    wanted.write_text("\n".join(shlex.split(told["asked"].split(str(ROOT))[1][1:])))
    resolved = resolve([ROOT / "requirements.txt", wanted], "3.12.13", "--constraints", colab)
    assert resolved["numpy"] == "2.0.2"
    assert "torch" not in resolved
    assert "safetensors" in resolved


def test_install_cell_takes_the_project_from_where_it_is(tmp_path, monkeypatch):
    """The cell itself, run where there is nothing, a clone, a zip, and a Colab that opened it from a site."""
    cell = next(cell for cell in nbformat.read(BOOKS[0], as_version=4).cells if cell.id == "cell-03")
    source = re.sub(r"%pip (.*)", "asked = source", cell.source)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delenv("COLAB_JUPYTER_IP", raising=False)

    def asked(place: Path) -> str:
        monkeypatch.chdir(place)
        told = {"SOURCE": ""}
        exec(source, told)
        return told["asked"]

    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.zip").write_bytes(b"")
    (empty / "broken.zip").write_bytes(b"PK")
    with pytest.raises(AssertionError, match=r"not here\. Upload its folder as a zip .* SOURCE above"):
        asked(empty)
    assert asked(ROOT / "notebooks") == str(ROOT)
    clone = tmp_path / "beside" / "personaplex-app"
    (clone / "personaplex_app").mkdir(parents=True)
    for name in ("pyproject.toml", "personaplex_app/__init__.py"):
        (clone / name).touch()
    assert asked(clone.parent) == str(clone)
    archive = shutil.make_archive(str(empty / "main"), "zip", clone.parent, clone.name)
    assert asked(empty) == archive

    opened = f"fileId={quote('https://github.com/somebody/voice/blob/main/notebooks/personaplex_demo.ipynb')}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("COLAB_JUPYTER_IP", "colab.invalid")
    monkeypatch.setattr(
        "urllib.request.urlopen", lambda url, timeout: io.StringIO(json.dumps([{"path": opened}]))
    )
    assert asked(elsewhere) == "git+https://github.com/somebody/voice@main"
    opened = "fileId=1AbCdEf"  # a copy in Drive
    with pytest.raises(AssertionError, match="The project is not here"):
        asked(elsewhere)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("SecretNotFoundError", "Colab's secrets hold no HF_TOKEN; add it there"),
        ("NotebookAccessError", "may not read the secret HF_TOKEN; switch Notebook access on"),
        ("TimeoutException", r"did not give the secret HF_TOKEN \(TimeoutException\); run this cell again"),
    ],
)
def test_use_colab_token_that_cannot_be_had_says_what_to_do(error, said, colab, capsys):
    colab(type(error, (Exception,), {})("hf_never_shown"))
    study.use_colab_token()
    out = capsys.readouterr().out
    assert re.search(said, out)
    assert "hf_never_shown" not in out
    assert "HF_TOKEN" not in os.environ


def test_use_colab_token_takes_the_secret_once_and_elsewhere_says_where_a_token_goes(
    colab, capsys, monkeypatch
):
    colab("hf_from_colab")
    study.use_colab_token()
    assert os.environ["HF_TOKEN"] == "hf_from_colab"
    study.use_colab_token()
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setitem(sys.modules, "google.colab", None)
    study.use_colab_token()
    out = capsys.readouterr().out
    assert out.splitlines()[:2] == ["HF_TOKEN comes from Colab's secrets.", "HF_TOKEN is set already."]
    assert "This is not Colab; " in out
    assert "hf_from_colab" not in out


@pytest.fixture
def colab(monkeypatch):
    """Colab's own module, as far as it is called, holding a secret or an error."""
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.delenv("HF_TOKEN")

    def hold(secret):
        def get(key):
            assert key == "HF_TOKEN"
            if isinstance(secret, Exception):
                raise secret
            return secret

        module = ModuleType("google.colab")
        module.userdata = SimpleNamespace(get=get)
        monkeypatch.setitem(sys.modules, "google.colab", module)

    return hold


def test_prepare_unknown_mode_is_refused():
    with pytest.raises(BadInput, match="MODE is 'cloud'; it must be one of demo, gpu, checkpoint"):
        study.prepare("cloud")


def test_open_app_that_cannot_start_shows_the_end_of_its_log():
    with pytest.raises(EngineError, match="The app did not start; its log ends with"):
        live_app.open_app("opera")


def test_open_app_without_the_public_link_shows_no_link_and_says_why(tmp_path, monkeypatch, capsys):
    """Nobody listens where the share service is said to be, and the tunnel's program cannot be stored."""
    shown = []
    monkeypatch.setattr(live_app, "show", shown.append)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "1")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("GRADIO_SHARE_SERVER_ADDRESS", f"127.0.0.1:{nobody.getsockname()[1]}")
        (tmp_path / "hf").touch()
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        app = live_app.open_app("echo", share=True, port=free_port(), data=str(tmp_path / "data"))
    try:
        told = capsys.readouterr().out
        assert "there is no public link" in told
        assert "status.gradio.app" in told
        assert "localhost" not in told
        assert shown == []
    finally:
        app.close()
