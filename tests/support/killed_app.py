"""An app that is killed while people talk, and what it had told them by then: nothing of that may be lost."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field

import soundfile

from .app_process import AppProcess
from .live_callers import LiveCaller


def as_owner(owner: str) -> dict[str, dict[str, str]]:
    return {"headers": {"X-Owner-Key": owner}}


@dataclass
class Acknowledged:
    """What an app had told its callers when it was killed."""

    saved_s: dict[tuple[str, str], float] = field(default_factory=dict)
    """By owner and talk, how much of the recording was called saved."""
    rated: dict[tuple[str, str], int] = field(default_factory=dict)
    """By owner and talk, the stars of what was kept and rated."""
    deleted: list[tuple[str, str]] = field(default_factory=list)

    def missing(self, running: AppProcess) -> list[str]:
        """Ask the app that was started afterwards; return what it has lost."""
        lost = []
        for (owner, talk), saved_s in self.saved_s.items():
            told = running.get(f"/api/sessions/{talk}", **as_owner(owner))
            if told.status_code != 200 or told.json()["status"] != "interrupted":
                lost.append(f"{talk}: {told.status_code}")
            elif saved_s:
                wav = running.get(f"/api/sessions/{talk}/export.wav", **as_owner(owner))
                heard_s = soundfile.info(io.BytesIO(wav.content)).duration
                lost += [f"{talk}: {heard_s} of {saved_s} s"] if heard_s + 0.001 < saved_s else []
        for (owner, talk), stars in self.rated.items():
            told = running.get(f"/api/sessions/{talk}", **as_owner(owner))
            if told.status_code != 200 or (told.json()["stars"], told.json()["has_audio"]) != (stars, True):
                lost.append(f"{talk}: kept and rated {stars}, {told.status_code}")
        for owner, talk in self.deleted:
            if running.get(f"/api/sessions/{talk}", **as_owner(owner)).status_code != 404:
                lost.append(f"{talk}: was deleted")
        return lost


async def talk_until_killed(running: AppProcess, number: int, after_s: float) -> Acknowledged:
    """Hold two kept talks, keep, rate and delete others meanwhile, and kill the app at some moment."""
    told = Acknowledged()
    owner = f"owner-of-the-round-{number}"
    finished = [await LiveCaller(running.url, 9, owner=owner, keep=keep).run(0.4) for keep in ("0", "1")]
    ids = [caller.told("ended")[0]["talk_id"] for caller in finished]
    talking = [
        LiveCaller(running.url, each, keep="1", owner=f"talker-{each}-of-round-{number}") for each in (1, 2)
    ]
    runs = [asyncio.create_task(caller.run()) for caller in talking]
    await asyncio.gather(*(caller.began.wait() for caller in talking))
    await asyncio.sleep(after_s)
    stars = number % 5 + 1

    def order() -> None:
        assert running.client.post(f"/api/sessions/{ids[0]}/keep", **as_owner(owner)).json()["kept"]
        rating = {"stars": stars, "comment": ""}
        rated = running.client.post(f"/api/sessions/{ids[0]}/rating", json=rating, **as_owner(owner))
        assert rated.status_code == 200
        if number % 2:
            gone = running.client.delete(f"/api/sessions/{ids[1]}", **as_owner(owner))
            assert gone.status_code == 200
            told.deleted.append((owner, ids[1]))
        running.process.kill()

    await asyncio.to_thread(order)
    await asyncio.gather(*runs)
    told.rated[owner, ids[0]] = stars
    for caller in talking:
        (ready,) = caller.told("ready")
        saved = caller.told("saved")
        told.saved_s[caller.owner, ready["talk_id"]] = saved[-1]["upto_s"] if saved else 0.0
    running.process.wait()
    return told
