"""Which requests are let in at all, and what every response says to browsers.

The page runs on the user's own machine: other sites that the same browser shows must neither ask
here (cross-site requests) nor pretend to be this server (DNS rebinding).
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from milp_planner.lazily import dataclass
from milp_planner.web.server.faults import Refused, refusal

READING = ("GET", "HEAD")
OWN_SITES = ("same-origin", "none")
"""What browsers say of a request from this very page, or from the address bar."""

MOST_BYTES = 25_000_000
"""Of a request's body."""

ALWAYS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Guards:
    """The application behind its guards."""

    inner: ASGIApp
    hosts: Collection[str]
    """Names that this server goes by, beside `localhost` and any address of numbers."""

    most_bytes: int = MOST_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or say why not."""
        if scope["type"] == "lifespan":
            await self.inner(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no other conversations here
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope["method"], Headers(scope=scope))
        except Refused as error:
            await refusal(error)(scope, receive, send_with_headers)
            return
        await self.inner(scope, receive, send_with_headers)

    def _check(self, method: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise Refused("host", "open it by the address that it printed")
        if method not in READING:
            _check_site(headers, host)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.most_bytes:
            raise Refused("too-large", f"at most {self.most_bytes / 1e6:g} MB are read")

    def _is_ours(self, host: str) -> bool:
        name = name_of(host)
        return name in self.hosts or name == "localhost" or is_numbers(name)


def name_of(host: str) -> str:
    """`127.0.0.1:8000` -> `127.0.0.1`, `[::1]:8000` -> `::1`; '' for what is none."""
    with contextlib.suppress(ValueError):
        return urlsplit(f"//{host}").hostname or ""
    return ""


def is_numbers(name: str) -> bool:
    """Whether a host is an address: those need no name server, so none can be turned on us."""
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return False


def _check_site(headers: Headers, host: str) -> None:
    """Raise Refused where a browser says that another site asks; curl says nothing."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    is_other = site is not None and site not in OWN_SITES
    if is_other or (origin is not None and urlsplit(origin).netloc != host):
        raise Refused("cross-site", "questions are asked from this server's own page, or a program")
