"""The server itself: uvicorn on one address, until a Ctrl-C."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from milp_planner.errors import PlannerError
from milp_planner.web.app import Served, application
from milp_planner.web.server.connections import TimelyProtocol

ENDS_WITHIN_S = 2
"""For what is under way when the server is stopped; solves are asked to end at once."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, served: Served, began: Callable[[], None]) -> None:
        super().__init__(config)
        self._served, self._began = served, began

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._began()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Not in `handle_exit`: a signal may come while this very thread holds a lock of the pool.
        self._served.solves.close()
        await super().shutdown(sockets)


def run(served: Served, listener: socket.socket, began: Callable[[], None]) -> None:
    """Serve until a signal comes; began: called once requests are answered.

    A SIGINT is raised again as KeyboardInterrupt once everything has ended, a SIGTERM as whatever
    the process does about it.
    """
    config = uvicorn.Config(
        application(served),
        http=TimelyProtocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=ENDS_WITHIN_S,
    )
    try:
        _Server(config, served, began).run(sockets=[listener])
    finally:
        served.solves.close()
        served.solves.join()


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket on that address, before anything is said of it; raises PlannerError.

    port: 0 takes one that is free.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise PlannerError(f"--host {host}: is no address of this machine: {error}") from None
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            why = error.strerror or str(error)
            raise PlannerError(
                f"--port {port}: {host} cannot be listened on: {why}\n"
                "  hint: --port 0 takes one that is free"
            ) from None
        yield listener
