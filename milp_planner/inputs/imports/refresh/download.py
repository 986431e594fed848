"""Reads one file over HTTP. No other module of the planner opens a connection.

What can pass by itself (a time-out, a lost connection, a server that is busy or broken, half a
file) is tried again; what cannot, is not. Whatever else comes, the caller has to judge.
"""

from __future__ import annotations

import time
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from milp_planner.errors import input_error
from milp_planner.lazily import dataclass

CHUNK = 65_536
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses that a later try may not meet (RFC 9110, RFC 6585)."""

NOT_THERE = (404, 410)
NAME = {"User-Agent": "milp-planner catalog refresh"}


@dataclass(frozen=True)
class Patience:
    """How long is waited, and how often tried."""

    silence_s: float = 30.0
    """Seconds without a byte."""

    whole_s: float = 300.0
    """Seconds for one file."""

    tries: int = 3
    pause_s: float = 1.0
    """Before the second try; twice as long before each further one."""


@dataclass(frozen=True)
class NotThere:
    """There is no file at the address."""

    url: str
    status: str
    """`HTTP 404 Not Found`."""

    @property
    def said(self) -> str:
        """The same in words."""
        return f"there is no file: {self.status}"


class _Passing(Exception):
    """What may not happen again."""


def fetch(url: str, most_bytes: int, patience: Patience | None = None) -> bytes | NotThere:
    """The content of the file at `url`, of at most `most_bytes`; NotThere when there is none.

    Raises InputError for all else that went wrong, after as many tries as are worth it.
    """
    patience = patience or Patience()
    if urlsplit(url).scheme not in ("http", "https"):
        raise input_error("is not an address that begins with http:// or https://", file=url)
    said = ""
    for attempt in range(patience.tries):
        if attempt:
            time.sleep(patience.pause_s * 2 ** (attempt - 1))
        try:
            return _read(url, most_bytes, patience)
        except _Passing as passing:
            said = str(passing)
    times = "once" if patience.tries == 1 else f"{patience.tries} times"
    raise input_error(
        f"cannot be fetched: {said} (tried {times})",
        file=url,
        hint="is there a network, or a proxy that is not set (HTTPS_PROXY)?",
    )


def _read(url: str, most_bytes: int, patience: Patience) -> bytes | NotThere:
    ends_s = time.monotonic() + patience.whole_s
    parts: list[bytes] = []
    size = 0
    try:
        with urlopen(Request(url, headers=NAME), timeout=patience.silence_s) as answer:
            promised = answer.headers.get("Content-Length", "")
            while chunk := answer.read1(CHUNK):  # what is there: a trickle must not outlast whole_s
                size += len(chunk)
                parts.append(chunk)
                if size > most_bytes:
                    raise input_error(f"is larger than {most_bytes / 1e6:g} MB", file=url)
                if time.monotonic() > ends_s:
                    raise _Passing(f"not whole after {patience.whole_s:g} s")
    except HTTPError as error:
        status = f"HTTP {error.code} {error.reason}"
        if error.code in NOT_THERE:
            return NotThere(url, status)
        if error.code in PASSING:
            raise _Passing(status) from None
        raise input_error(f"cannot be fetched: {status}", file=url) from None
    except TimeoutError:
        raise _Passing(f"nothing came for {patience.silence_s:g} s") from None
    except URLError as error:
        why = "timed out" if isinstance(error.reason, TimeoutError) else error.reason
        raise _Passing(str(why)) from None
    except (HTTPException, OSError) as error:  # cut off in the middle, reset
        raise _Passing(str(error) or type(error).__name__) from None
    if promised.isdigit() and size != int(promised):
        raise _Passing(f"{size:,} of {int(promised):,} bytes came")
    return b"".join(parts)
