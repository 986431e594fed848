"""Whoever sends a byte now and then holds a connection until the deadline, and no longer."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.shown.extras import needed

pytest_plugins = ["tests.support.toy_cli", "tests.support.served.toy_server"]

GAP_S = 0.02
MOST_BYTES_SENT = 500
"""Ten seconds of waiting at most, for a deadline of a fifth of one."""

POST = "POST /api/plan HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
GET = "GET /api/catalog HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture
def address(served, monkeypatch) -> Iterator[tuple[str, int]]:
    """A server of the toy catalog in a thread, whose deadlines are a fifth of a second."""
    needed("uvicorn", "web")
    from milp_planner.web import running
    from milp_planner.web.server import bodies

    monkeypatch.setattr(bodies, "ARRIVES_WITHIN_S", 0.2)
    servers = []

    class Noted(running._Server):
        async def startup(self, sockets=None):
            servers.append(self)
            await super().startup(sockets)

    monkeypatch.setattr(running, "_Server", Noted)
    began = threading.Event()
    with running.listening("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=running.run, args=(served, listener, began.set))
        thread.start()
        assert began.wait(60)
        yield listener.getsockname()
        servers[0].should_exit = True
        thread.join(60)
        assert not thread.is_alive()


def trickled(address: tuple[str, int], head: str, one: bytes) -> tuple[bytes, bool]:
    """What came back to whoever sends `one` again and again, and whether the server hung up."""
    got = b""
    with socket.create_connection(address) as client:
        client.settimeout(GAP_S)
        client.sendall(head.encode())
        for _ in range(MOST_BYTES_SENT):
            try:
                client.sendall(one)
                part = client.recv(65_536)
            except TimeoutError:
                continue
            except OSError:
                return got, True
            if not part:
                return got, True
            got += part
    return got, False


@pytest.mark.parametrize(
    ("head", "one", "status"),
    [
        pytest.param(f"{POST}Content-Length: 9999\r\n\r\n", b" ", 408, id="body"),
        pytest.param(f"{POST}Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 408, id="chunks"),
        pytest.param(GET, b"X-More: 1\r\n", 408, id="head"),
        pytest.param("", b"G", 408, id="first line"),
        pytest.param(f"{GET}\r\nGET", b"x", 408, id="second head"),
        # Refused before the body is read: what is left of it is not waited for.
        pytest.param(f"{POST}Origin: http://x\r\nContent-Length: 99\r\n\r\n", b" ", 403, id="site"),
        pytest.param(
            "POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n",
            b" ",
            404,
            id="nowhere",
        ),
    ],
)
def test_a_slow_client_is_told_and_hung_up_on(address, head, one, status) -> None:
    got, hung_up = trickled(address, head, one)
    assert f"HTTP/1.1 {status} ".encode() in got
    assert hung_up


def test_who_was_in_time_may_ask_again_on_the_same_connection(address) -> None:
    import http.client

    connection = http.client.HTTPConnection(*address, timeout=60)
    for _ in range(2):
        connection.request("GET", "/api/catalog")
        reply = connection.getresponse()
        assert (reply.status, reply.getheader("connection")) == (200, None)
        assert b"catalogs" in reply.read()
        threading.Event().wait(0.3)  # longer than a head may take: nothing was begun
    connection.close()


def test_a_body_that_never_ends_is_said_to_be_late(client, monkeypatch) -> None:
    from milp_planner.web.server import bodies

    monkeypatch.setattr(bodies, "ARRIVES_WITHIN_S", 0.05)
    sent: list[dict] = []

    async def scene() -> None:
        async def receive():
            await asyncio.sleep(0.01)
            return {"type": "http.request", "body": b" ", "more_body": True}

        async def send(message):
            sent.append(message)

        names = {"host": "127.0.0.1:8000", "content-type": "text/csv", "content-length": "99"}
        headers = [(k.encode(), v.encode()) for k, v in names.items()]
        scope = {"type": "http", "method": "POST", "path": "/api/files", "headers": headers}
        await client.app({**scope, "query_string": b""}, receive, send)

    client.run(scene())
    assert sent[0]["status"] == 408
    assert b"0.05 s are given" in sent[1]["body"]
