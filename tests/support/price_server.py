"""A web server on the loopback that answers with price lists, or badly, as a test asks."""

from __future__ import annotations

import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DRIP_S = 0.02
MOST_DRIPS = 250
LONGEST_WAIT_S = 5.0
"""No answer hangs longer, whatever becomes of the test."""

Answer = bytes | int | str
"""Content; an HTTP status; or `hang`, `short` (half of what it promised), `drip` (a byte now and
then), `drop`, `file` (sends the asker to a file on the machine)."""


@dataclass
class PriceServer:
    """What is asked for, and what it answers with; several answers are given one after another."""

    url: str
    answers: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    drips: int = 0
    """Bytes that dripped so far."""

    closing: threading.Event = field(default_factory=threading.Event)

    def next_answer(self, path: str) -> Answer:
        self.asked.append(path)
        answer = self.answers.get(path, 404)
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        return answer


@contextmanager
def price_server() -> Iterator[PriceServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = known.next_answer(self.path)
            if isinstance(answer, int):
                self.send_error(answer)
            elif isinstance(answer, bytes):
                self._send(answer, len(answer))
            elif answer == "hang":
                known.closing.wait(LONGEST_WAIT_S)
            elif answer == "short":
                self._send(b"half", 8)
            elif answer == "drip":
                self._drip()
            elif answer == "file":
                self.send_response(302)
                self.send_header("Location", "file:///etc/hostname")
                self.end_headers()
            elif answer == "drop":
                self.connection.shutdown(socket.SHUT_RDWR)

        def _send(self, content: bytes, promised: int) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(promised))
            self.end_headers()
            self.wfile.write(content)

        def _drip(self) -> None:
            """A byte now and then, never long enough apart to be taken for silence."""
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            with suppress(OSError):  # the asker has gone
                for _ in range(MOST_DRIPS):
                    self.wfile.write(b"x")
                    known.drips += 1
                    known.closing.wait(DRIP_S)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        known = PriceServer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield known
        finally:
            known.closing.set()
            server.shutdown()
            thread.join(LONGEST_WAIT_S)


def zipped(**files: str) -> bytes:
    """A zip of CSV files by their names without `.csv`."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.csv", text)
    return packed.getvalue()
