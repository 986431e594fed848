"""Processes that tests start, and whether they are gone."""

from __future__ import annotations

import os
import time
from pathlib import Path


def is_gone(pid: int, within_s: float = 10.0) -> bool:
    """Whether a process ends within a while; a zombie that nobody has collected counts."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False
