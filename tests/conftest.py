"""What holds for every test: the model hub, its cache and its login are never this machine's own, and a core does one thing."""

import os
from pathlib import Path


def pytest_configure() -> None:
    # read when huggingface_hub is imported, here and in the processes that tests start
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
        del os.environ[name]
    os.environ["HF_HOME"] = str(Path(__file__).parent / ".cache" / "hub")
    os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"  # nobody answers there
    # the tests run two at a time, and threads that wait for each other on busy cores take twenty times as long
    os.environ.setdefault("OMP_NUM_THREADS", "1")
