"""The API: questions by POST, catalogs by GET, and the description of both."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from milp_planner.lazily import dataclass
from milp_planner.reporting.documents.json import to_json
from milp_planner.reporting.text.inputs.catalog import LISTS, overview, show_dict
from milp_planner.web.asking.answers import JSON, QUESTIONS, Answers, read_question
from milp_planner.web.openapi import description
from milp_planner.web.server.bodies import data_of, file_of
from milp_planner.web.server.faults import KINDS, Refused, problem_document
from milp_planner.web.server.solves import Solves


@dataclass(frozen=True)
class Api:
    """What answers, and what lets it answer only so many at once."""

    answers: Answers
    solves: Solves

    def routes(self) -> list[Route]:
        """Every address below `/api`."""
        return [
            *(
                Route(f"/api/{name}", partial(self._ask, name), methods=["POST"], name=name)
                for name in QUESTIONS
            ),
            Route("/api/files", self._upload, methods=["POST"]),
            Route("/api/catalog", self._catalogs),
            Route("/api/catalog/{name}", self._overview),
            Route("/api/catalog/{name}/show/{id:path}", self._show),
            Route("/api/catalog/{name}/{kind}", self._list),
            Route("/api/openapi.json", self._description),
            Route("/api/problems/{kind}", self._kind),
        ]

    async def _ask(self, name: str, request: Request) -> Response:
        question = read_question(QUESTIONS[name], await data_of(request))
        answer = getattr(self.answers, name.replace("-", "_"))
        found = await self.solves.run(request, lambda cancel: answer(question, cancel))
        return Response(found.text, media_type=found.media_type)

    async def _upload(self, request: Request) -> Response:
        content = await file_of(request)
        key = await run_in_threadpool(self.answers.sources.uploads.add, content)
        return _json({"upload": key, "bytes": len(content)}, status_code=201)

    def _catalogs(self, request: Request) -> Response:
        return _json({"catalogs": list(self.answers.sources.names)})

    def _overview(self, request: Request) -> Response:
        return _json(overview(self.answers.sources.catalog(request.path_params["name"])))

    def _list(self, request: Request) -> Response:
        records = LISTS.get(request.path_params["kind"])
        if records is None:
            raise Refused("not-found", f"a catalog lists {', '.join(LISTS)}")
        return _json(records(self.answers.sources.catalog(request.path_params["name"])))

    def _show(self, request: Request) -> Response:
        known = self.answers.sources.catalog(request.path_params["name"])
        return _json(show_dict(known, request.path_params["id"]))

    def _description(self, request: Request) -> Response:
        return _json(description())

    def _kind(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in KINDS:
            raise Refused("not-found", f"kinds of problems are {', '.join(KINDS)}")
        return _json(problem_document(kind, "what is wrong with one request stands here"))


Endpoint = Callable[[Request], Any]


def _json(document: Any, status_code: int = 200) -> Response:
    return Response(to_json(document), status_code=status_code, media_type=JSON)
