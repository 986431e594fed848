"""A client that asks an application without a network, and may hang up before it is answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

Answer = TypeVar("Answer")

HOST = "127.0.0.1:8000"


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode()

    @property
    def json(self) -> Any:
        """The body as plain data."""
        return json.loads(self.content)


class Client:
    """Asks in one event loop, one after the other, or several at once.

    It has a thread of its own: a browser that was driven before leaves a loop in the main thread.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="client")
        self._loop = asyncio.new_event_loop()

    def run(self, scene: Coroutine[Any, Any, Answer]) -> Answer:
        """What the scene comes to."""
        return self._thread.submit(self._loop.run_until_complete, scene).result()

    def close(self) -> None:
        """End the loop."""
        self.run(self._loop.shutdown_default_executor())
        self._thread.submit(self._loop.close).result()
        self._thread.shutdown()

    def get(self, path: str, **headers: str) -> Reply:
        """GET, with headers by their names with underscores."""
        return self.run(self.ask("GET", path, headers=_named(headers)))

    def post(self, path: str, data: Any, **headers: str) -> Reply:
        """POST: plain data as JSON, text as YAML, bytes as they are."""
        return self.run(self.ask("POST", path, data, _named(headers)))

    async def ask(
        self,
        method: str,
        path: str,
        data: Any = b"",
        headers: Mapping[str, str] | None = None,
        hang_up: asyncio.Event | None = None,
    ) -> Reply:
        """The reply; hang_up: set it to be gone."""
        content, media_type = _body(data)
        path, _, query = path.partition("?")
        given = {"host": HOST, "content-type": media_type, "content-length": str(len(content))}
        said = {**given, **(headers or {})}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in said.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }
        waiting = [{"type": "http.request", "body": content, "more_body": False}]
        sent: list[dict[str, Any]] = []
        ended = asyncio.Event()

        async def receive() -> Mapping[str, Any]:
            if waiting:
                return waiting.pop()
            await (hang_up or ended).wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        with contextlib.ExitStack() as stack:
            stack.callback(ended.set)
            await self.app(scope, receive, send)
        parts = [m.get("body", b"") for m in sent if m["type"] == "http.response.body"]
        names = {k.decode().lower(): v.decode() for k, v in sent[0]["headers"]}
        return Reply(sent[0]["status"], names, b"".join(parts))


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _body(data: Any) -> tuple[bytes, str]:
    if isinstance(data, bytes):
        return data, "application/octet-stream"
    if isinstance(data, str):
        return data.encode(), "application/yaml"
    return json.dumps(data).encode(), "application/json"
