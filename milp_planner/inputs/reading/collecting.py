"""Millions of records are made without looking for garbage among them.

Python looks through all that is alive whenever it has grown by a quarter. Records hold no circles,
so that there is nothing to find, and a third of the time of a large catalog goes into looking.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_inside = 0
_was_enabled = False


@contextlib.contextmanager
def no_search_for_garbage() -> Iterator[None]:
    """Inside the block circles of objects are not looked for, in no thread; after the last block
    of all threads they are again, if they were before the first."""
    global _inside, _was_enabled
    with _lock:
        if not _inside:
            _was_enabled = gc.isenabled()
            gc.disable()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and _was_enabled:
                gc.enable()
