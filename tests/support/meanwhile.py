"""What goes on in threads of its own while a block runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor


@contextlib.contextmanager
def meanwhile(work: Callable[[threading.Event], None], threads: int = 1) -> Iterator[None]:
    """The work in so many threads; it ends when the event is set, at the block's end. What it raises fails
    the test then.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(threads) as pool:
        going = [pool.submit(work, stop) for _ in range(threads)]
        try:
            yield
        finally:
            stop.set()
    for one in going:
        one.result()
