"""Have a recording answered, compare voices, and measure an agent: the page's tabs, for programs.

    python examples/gradio_recipes.py respond  http://localhost:7860 question.wav answer.wav
    python examples/gradio_recipes.py compare  http://localhost:7860 question.wav answers natural deep
    python examples/gradio_recipes.py evaluate http://localhost:7860 report turn_end interruption

Needs gradio_client, which brings httpx. PERSONAPLEX_API_KEY is the key of an app that asks for one.
"""

import argparse
import os
import re
import secrets
import shutil
import time
from pathlib import Path

import httpx
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError, AuthenticationError

ROOM_S = 8  # of silence after the recording, to answer in
LOOK_EVERY_S = 1.0
REPORT_FILES = ("report.html", "report.json", "figures.csv", "conversations.csv")


def headers_of(environment):
    """Return the headers that open an app with a key."""
    key = environment.get("PERSONAPLEX_API_KEY")
    return {"X-API-Key": key} if key else {}


def page_of(url):
    """Return the app as gradio_client sees it."""
    return Client(url, verbose=False, headers=headers_of(os.environ))


def respond(given):
    """Print what both sides say, and save the agent's sound."""
    result, agent, _both = page_of(given.url).predict(
        clip=handle_file(given.question),
        voice=given.voice,
        persona=given.persona,
        room_s=ROOM_S,
        seed=given.seed,
        api_name="/respond",
    )
    for each in result["utterances"]:
        print(f"{each['start_s']:5.1f} {each['speaker']}: {each['text']}")
    shutil.copy(agent, given.answer)


def compare(given):
    """Save each voice's answer to one recording at equal loudness, and print the link of a blind test.

    gradio_client knows no function for it: these are the HTTP routes that the Compare tab uses.
    """
    # what is made belongs to this key; another key cannot see it
    headers = {"X-Owner-Key": secrets.token_hex(16), **headers_of(os.environ)}
    with httpx.Client(base_url=given.url, headers=headers, timeout=60) as app:
        uploaded = app.post("/api/compare/recordings", content=Path(given.question).read_bytes())
        asked = {
            "inputs": [{"recording": told(uploaded)["id"]}],
            "voices": given.voices,
            "persona": given.persona,
            "seeds": [given.seed],
            "room_s": ROOM_S,
        }
        run = told(app.post("/api/compare/runs", json=asked))
        at = f"/api/compare/runs/{run['id']}"
        while run["status"] in ("preparing", "running"):
            time.sleep(LOOK_EVERY_S)
            run = told(app.get(at))
        if run["problem"]:
            raise SystemExit(run["problem"])
        folder = Path(given.folder)
        folder.mkdir(parents=True, exist_ok=True)
        for column, (voice, cell) in enumerate(zip(run["voices"], run["cells"][0], strict=True)):
            if not cell["ready"]:
                raise SystemExit(f"{voice} gave no answer: {cell.get('error', run['status'])}")
            measured = told(app.get(f"{at}/cells/0/{column}"))
            latency_s = measured["turn_latency_s"]
            pause = "-" if latency_s is None else f"{latency_s:.2f} s"
            print(f"{voice}: after {pause}, {measured['words']} words: {measured['text']}")
            sound = folder / f"{re.sub('[^A-Za-z0-9]+', '-', voice)}.wav"
            sound.write_bytes(app.get(f"{at}/cells/0/{column}/agent.wav").raise_for_status().content)
        if len(run["voices"]) > 1:
            test = told(app.post(f"{at}/test"))
            print(f"a blind test of these answers: {given.url.rstrip('/')}/?compare={test['id']}")


def told(answer):
    """Return an answer's JSON. Raises: SystemExit with the app's own sentence where it refused."""
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if answer.is_error:
        raise SystemExit(body.get("message") or f"{answer.url} answers {answer.status_code}; is it the app?")
    return body


def evaluate(given):
    """Hold scenarios of some kinds, and save the report with its figures."""
    app = page_of(given.url)
    job = app.submit(kinds=given.kinds, voices=given.voices, seeds=1, dnsmos=False, api_name="/evaluate")
    shown = ""
    for page in job:  # progress, then the report
        shown = page if isinstance(page, str) else page[0]
        if "data-report" not in shown:
            print(re.sub("<.*?>", "", shown), flush=True)
    if not (report := re.search(r'data-report="(\w+)"', shown)):
        job.result()  # raises what went wrong
        raise SystemExit("The app gave no report.")
    folder = Path(given.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with httpx.Client(base_url=given.url, headers=headers_of(os.environ), timeout=60) as files:
        for name in REPORT_FILES:
            answer = files.get(f"/api/evaluations/{report[1]}/{name}").raise_for_status()
            (folder / name).write_bytes(answer.content)
    print(f"{folder / REPORT_FILES[0]}")


def parser():
    """Return the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    recipes = made.add_subparsers(required=True, metavar="respond | compare | evaluate")
    for recipe in (respond, compare, evaluate):
        one = recipes.add_parser(recipe.__name__, help=recipe.__doc__.splitlines()[0])
        one.set_defaults(recipe=recipe)
        one.add_argument("url", help="the app's address, such as http://localhost:7860")
        if recipe is not evaluate:
            one.add_argument("question", help="a recording of up to two minutes: wav, flac, mp3 and others")
            one.add_argument("--persona", default="waste-collection", help="default: %(default)s")
            one.add_argument("--seed", type=int, default=0, help="the same seed gives the same answer")
        if recipe is respond:
            one.add_argument("answer", help="the file for the agent's sound, such as answer.wav")
            one.add_argument("--voice", default="", help="default: the persona's own")
        else:
            one.add_argument("folder", help="the folder for what comes out")
        if recipe is compare:
            one.add_argument("voices", nargs="+", help="voices by name, as GET /voice/status lists them")
        if recipe is evaluate:
            one.add_argument("kinds", nargs="+", help="kinds of scenarios, such as turn_end or interruption")
            one.add_argument("--voices", nargs="+", default=["natural"], help="default: natural")
    return made


def main():
    """Carry out one recipe, and end by a sentence where that fails."""
    given = parser().parse_args()
    try:
        if not re.match(r"https?://.", given.url):
            raise SystemExit(f"{given.url} is no address; it must begin with http:// or https://.")
        if not Path(getattr(given, "question", __file__)).is_file():
            raise SystemExit(f"{given.question} is not there; give a recording.")
        given.recipe(given)
    except AuthenticationError:
        raise SystemExit(f"{given.url} asks for a key; set PERSONAPLEX_API_KEY to it.") from None
    except AppError as error:
        raise SystemExit(str(error)) from None
    except (httpx.HTTPError, ValueError) as error:
        raise SystemExit(f"{given.url} does not answer as the app does ({error}); is it there?") from None
    except OSError as error:
        raise SystemExit(f"The result cannot be written: {error}") from None


if __name__ == "__main__":
    main()
