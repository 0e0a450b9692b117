"""Eight clients that ask for one address as fast as they are answered, in a process of their own.

python -m tests.support.request_flood http://127.0.0.1:7860/ SECONDS
"""

import sys
import threading
import time
from collections import Counter

import httpx

CLIENTS = 8
HEADERS = {"X-Forwarded-For": "10.99.99.99"}


def flood(url: str, seconds: float) -> Counter[int]:
    """Ask, a connection for each request, and return how often each status was answered."""
    statuses: Counter[int] = Counter()
    until_s = time.monotonic() + seconds

    def ask() -> None:
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(headers=HEADERS, limits=limits, timeout=60) as client:
            while time.monotonic() < until_s:
                statuses[client.get(url).status_code] += 1

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


if __name__ == "__main__":
    counted = flood(sys.argv[1], float(sys.argv[2]))
    print(f"{counted.total():,} and {counted[429]:,}")
