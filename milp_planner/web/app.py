"""The application: the API and the page behind the guards."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from milp_planner.deadline import OutOfTime
from milp_planner.errors import PlannerError
from milp_planner.lazily import dataclass
from milp_planner.web.api import Api
from milp_planner.web.asking.answers import Answers
from milp_planner.web.page.views import Page
from milp_planner.web.server.faults import KINDS, Refused, refusal
from milp_planner.web.server.guards import Guards
from milp_planner.web.server.solves import Gone, Solves

HUNG_UP = 499
"""What servers write into their logs where nobody waits for the answer; nobody reads it."""


TOLD = (HTTPException, Refused, Gone, PlannerError, OutOfTime, Exception)
"""Whatever is not of the others is a bug: it is told, and goes on up into the server's log."""


@dataclass(frozen=True)
class Served:
    """What is served to whom."""

    answers: Answers
    solves: Solves
    hosts: Collection[str] = ()
    yaml: str = ""
    """The text of the file that the page begins with; '' for none."""


def application(served: Served) -> ASGIApp:
    """The application, as uvicorn runs it."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        served.solves.close()

    api = Api(served.answers, served.solves)
    page = Page(served.answers, served.solves, served.yaml)
    inner = Starlette(
        routes=[*api.routes(), *page.routes()],
        exception_handlers=dict.fromkeys(TOLD, _told),
        lifespan=lifespan,
    )
    return Guards(inner, served.hosts)


async def _told(request: Request, error: Exception) -> Response:
    if isinstance(error, Gone):
        return Response(status_code=HUNG_UP)
    if isinstance(error, HTTPException):
        kinds = [kind for kind, (status, _) in KINDS.items() if status == error.status_code]
        return refusal(
            Refused((*kinds, "malformed")[0], request.url.path, dict(error.headers or {}))
        )
    return refusal(error)
