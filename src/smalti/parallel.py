"""Many things at once, in order: threads for work that releases the interpreter lock (decoders, kernels, sockets)."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["available_cores", "ordered_map"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int | None = None,
    ahead: int | None = None,
) -> Iterator[Result]:
    """`function` of each item, in the order of the items, several at a time.

    Items are drawn lazily and at most `ahead` (default: twice the workers) results wait to be taken, so memory is
    bounded whatever the length. An exception comes out at its item's place and ends the run.
    """
    count = workers or available_cores()
    if count == 1:
        yield from map(function, items)
        return
    limit = ahead or 2 * count
    with ThreadPoolExecutor(count, thread_name_prefix="smalti") as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= limit:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
