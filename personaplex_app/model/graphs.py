"""CUDA graphs: a whole frame in one launch instead of thousands."""

from __future__ import annotations

from collections.abc import Callable

import torch

Work = Callable[[], None]
"""What reads and writes the same places at every call, decides nothing by what it reads, and never waits for
the device.
"""
Record = Callable[[Work], Work]
"""Takes work and returns what does it again."""
WARM_UP_RUNS = 2


def cuda_graphs(device: torch.device) -> Record:
    """Return how work is recorded on a GPU.

    All graphs share their intermediate memory, so one may run at a time.
    """
    pool = torch.cuda.graph_pool_handle()
    stream = torch.cuda.Stream(device)

    def record(work: Work) -> Work:
        # libraries prepare themselves at the first calls, which must not be recorded
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_RUNS):
                work()
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # the outer context: where a capture fails, the inner one raises before it leaves its stream
        with (
            torch.cuda.stream(torch.cuda.current_stream(device)),
            torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"),
        ):
            work()
        return graph.replay

    return record
