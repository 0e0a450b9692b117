"""Upload votes to a private dataset on the Hub, where one is configured.

Each installation uploads whole logs, under file names of its own, so that a failed or repeated upload loses
and duplicates nothing.
"""

from __future__ import annotations

import logging
import secrets
import threading
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

from ...errors import StorageError
from .store import DESIGN_NAME
from .vote_log import LOG_NAME

EVERY_S = 300.0
LAST_UPLOAD_S = 20.0
INSTANCE_NAME = "installation"

log = logging.getLogger(__name__)


class NotPrivate(StorageError):
    """The dataset is public."""


class VoteUpload:
    """Uploads vote logs on a background thread; listeners never wait for it."""

    def __init__(
        self,
        folder: Path,
        repo: str,
        token: str | None = None,
        endpoint: str | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._folder = folder
        self._repo = repo
        self._every_s = every_s
        self._api = HfApi(endpoint=endpoint, token=token)
        self._changed: set[Path] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._ready = False
        self._thread = threading.Thread(target=self._run, name="vote-upload", daemon=True)

    def start(self) -> None:
        """Start the thread: upload all logs, and from then on those that change."""
        for path in self._folder.glob(f"*/{LOG_NAME}"):
            self.changed(path)
        self._thread.start()

    def changed(self, path: Path) -> None:
        """Mark a log as changed."""
        with self._lock:
            self._changed.add(path)
        self._wake.set()

    def close(self) -> None:
        """Upload what is left, within a time limit, and stop the thread."""
        self._stop.set()
        self._wake.set()
        self._thread.join(LAST_UPLOAD_S)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            stopping = self._stop.is_set()
            try:
                self.push()
            except NotPrivate as error:
                log.error("%s", error)
                return
            except Exception as error:
                # no error may reach the voting; log only its type, because its text may hold signed URLs
                log.warning(
                    "votes could not be uploaded to the Hub now (%s); they are tried again",
                    type(error).__name__,
                )
                self._wake.set()
            if stopping:
                return
            # at most one commit in this time, however many votes come
            self._stop.wait(self._every_s)

    def push(self) -> int:
        """Upload the changed logs as one commit and return how many there were.

        Raises: NotPrivate, and the errors of the Hub's client.
        """
        with self._lock:
            # taken before the upload: what changes meanwhile is uploaded the next time
            logs = self._changed
            self._changed = set()
        try:
            self._prepare()
            operations = [operation for path in sorted(logs) for operation in self._operations(path)]
            if operations:
                self._api.create_commit(
                    self._repo,
                    operations,
                    commit_message=f"Votes of {len(logs)} blind tests",
                    repo_type="dataset",
                )
        except BaseException:
            # put the logs back, merged with those that changed during the upload
            with self._lock:
                self._changed |= logs
            raise
        return len(logs)

    def _prepare(self) -> None:
        """Create the dataset if it does not exist, and check that it is private."""
        if self._ready:
            return
        self._api.create_repo(self._repo, repo_type="dataset", private=True, exist_ok=True)
        if not self._api.dataset_info(self._repo).private:
            raise NotPrivate(
                f"Votes are not uploaded: the dataset {self._repo} is public. Make it private in its"
                " settings, or name another."
            )
        self._ready = True

    def _operations(self, path: Path) -> list[CommitOperationAdd]:
        data = path.read_bytes()
        at = f"votes/{self._installation()}/{path.parent.name}"
        # the last line may be half written at this moment
        whole = data[: data.rfind(b"\n") + 1]
        design = (path.parent / DESIGN_NAME).read_bytes()
        return (
            [CommitOperationAdd(f"{at}.jsonl", whole), CommitOperationAdd(f"{at}.{DESIGN_NAME}", design)]
            if whole
            else []
        )

    def _installation(self) -> str:
        """Return this installation's id, a prefix of its files that survives a restart."""
        path = self._folder / INSTANCE_NAME
        if not path.exists():
            path.write_text(secrets.token_hex(8), "utf-8")
        return path.read_text("utf-8").strip()
