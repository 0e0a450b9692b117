"""CUDA graphs: launch a whole frame at once instead of thousands of kernels."""

from __future__ import annotations

from collections.abc import Callable

import torch

Work = Callable[[], None]
"""Device work that can be recorded: it uses the same buffers at every call, does not branch on their values,
and never waits for the device.
"""
Recorder = Callable[[Work], Work]
"""Records work once and returns a function that replays it."""
WARM_UP_RUNS = 2


def cuda_graphs(device: torch.device) -> Recorder:
    """Return a function that records work as a CUDA graph.

    All graphs share one pool of intermediate memory, so only one may run at a time.
    """
    pool = torch.cuda.graph_pool_handle()
    stream = torch.cuda.Stream(device)

    def record(work: Work) -> Work:
        # libraries such as cuBLAS allocate workspaces at their first calls, which must not be recorded
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_RUNS):
                work()
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # the outer context restores the current stream: where a capture fails, `torch.cuda.graph` raises
        # before it does. `thread_local` lets other threads use the device meanwhile.
        with (
            torch.cuda.stream(torch.cuda.current_stream(device)),
            torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"),
        ):
            work()
        return graph.replay

    return record
