"""The page: its document, its styles and script, and what the script asks for."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import closing
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from milp_planner._version import __version__
from milp_planner.errors import input_error
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.reading.records import Frozen
from milp_planner.lazily import dataclass
from milp_planner.plans.sheet.compared import plan_diff
from milp_planner.plans.sheet.records import Sheet
from milp_planner.reporting.documents.json import to_json
from milp_planner.reporting.html.page import sheet_style
from milp_planner.reporting.sheets.diff import diff_text, last_line
from milp_planner.serving.weights import WEIGHT_BYTES
from milp_planner.web.asking.answers import JSON, Answers, read_question
from milp_planner.web.page.document import document_of
from milp_planner.web.page.fields import FIELDS, texts_of
from milp_planner.web.page.steps import FormQuestion, Step, Steps
from milp_planner.web.server.bodies import data_of
from milp_planner.web.server.faults import document_of as told
from milp_planner.web.server.solves import Gone, Solves

LINES = "application/x-ndjson"
STATIC = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "question.js": "text/javascript",
    "answer.js": "text/javascript",
    "sliders.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""What the page loads, and what each of it is."""

USUAL = "market"
"""The catalog of a problem that names none."""

FIRST = {
    "llm": "llama-3.3-70b",
    "tokens_per_day": "5M",
    "pattern": "bursty",
    "input": "1500",
    "output": "300",
}
"""The question of a page that nobody has asked anything yet."""


class TwoSheets(Frozen):
    """`POST /page/compare`."""

    old: dict[str, Any]
    new: dict[str, Any]


class FileText(Frozen):
    """`POST /page/fields`."""

    yaml: str


@dataclass(frozen=True)
class Page:
    """What a browser asks for."""

    answers: Answers
    solves: Solves
    yaml: str = ""
    """The text of the file that is served; '' for none."""

    def routes(self) -> list[Route]:
        """Every address of the page."""
        return [
            Route("/", self._page),
            Route("/static/{name}", self._static),
            Route("/page/answer", self._answer, methods=["POST"]),
            Route("/page/fields", self._fields, methods=["POST"]),
            Route("/page/compare", self._compare, methods=["POST"]),
        ]

    def _page(self, request: Request) -> Response:
        first = {"yaml": self.yaml} if self.yaml else {"fields": FIRST}
        known = self._catalog()
        text = (
            _environment()
            .get_template("page.html")
            .render(
                version=__version__,
                first=json.dumps(first),
                known=known,
                catalogs=self._other_catalogs(),
                llms=sorted(known.llms),
                gpus=sorted(known.gpus),
                providers=sorted(known.providers),
                groups=_groups(known),
                billings=[(mode.name, mode.by_default) for mode in BILLING_MODES.values()],
                precisions=[*WEIGHT_BYTES],
            )
        )
        return Response(text, media_type="text/html")

    def _catalog(self) -> Catalog:
        """The catalog whose names the form offers: that of the file served."""
        named = document_of(self.yaml).get("catalog") if self.yaml else None
        return self.answers.sources.catalog(named if isinstance(named, str) else USUAL)

    def _other_catalogs(self) -> list[tuple[str, str]]:
        """What may be named instead of the usual one; nothing where one stands for all."""
        sources = self.answers.sources
        if sources.fixed is not None:
            return []
        return [(name, name) for name in sources.names if name != USUAL]

    def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name == "sheet.css":
            return Response(sheet_style(), media_type="text/css")
        if name not in STATIC:
            return Response(status_code=404)
        return Response(_static_text(name), media_type=STATIC[name])

    async def _answer(self, request: Request) -> Response:
        form = read_question(FormQuestion, await data_of(request))
        return Lines(request, self.solves, Steps(self.answers), form)

    async def _fields(self, request: Request) -> Response:
        """What the form shows of a file."""
        text = read_question(FileText, await data_of(request)).yaml
        document = document_of(text)
        if not isinstance(document.get("workloads"), list):
            raise input_error("required", path="workloads")
        fields = texts_of(document)
        locked = sorted(FIELDS.keys() - fields.keys())
        shown = {"fields": fields, "locked": locked, "workloads": len(document["workloads"])}
        return Response(to_json(shown), media_type=JSON)

    async def _compare(self, request: Request) -> Response:
        """The words of `diff`, of two sheets."""
        two = read_question(TwoSheets, await data_of(request))
        found = plan_diff(Sheet.from_dict(two.old), Sheet.from_dict(two.new))
        said = {"last": last_line(found), "text": diff_text(found)}
        return Response(to_json(said), media_type=JSON)


class Lines(Response):
    """Steps of an answer, a line of JSON each, sent as soon as they are known."""

    def __init__(self, request: Request, solves: Solves, steps: Steps, form: FormQuestion) -> None:
        self.request, self.solves, self.steps, self.form = request, solves, steps, form
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send every step; whoever hangs up ends the solve."""
        loop = asyncio.get_running_loop()
        known: asyncio.Queue[Step | None] = asyncio.Queue()

        def work(cancel: threading.Event) -> None:
            with closing(self.steps.of(self.form, cancel)) as steps:
                for step in steps:
                    loop.call_soon_threadsafe(known.put_nowait, step)

        asked = asyncio.ensure_future(self.solves.run(self.request, work))
        asked.add_done_callback(lambda _: known.put_nowait(None))
        headers = [(b"content-type", LINES.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _line(send, {"step": "waiting", "ahead": self.solves.waiting})
        try:
            while (step := await known.get()) is not None:
                await _line(send, step)
            await asked
        except Gone:
            pass
        except Exception as error:
            await _line(send, {"step": "problem", "problem": told(error)})
        finally:
            asked.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _line(send: Send, step: Step) -> None:
    body = json.dumps(step).encode() + b"\n"
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _groups(known: Catalog) -> list[str]:
    """Groups of countries in which something is sold, the most first."""
    counts: dict[str, int] = {}
    for offering in known.offerings:
        if offering.group:
            counts[offering.group] = counts.get(offering.group, 0) + 1
    return sorted(counts, key=lambda group: -counts[group])


@cache
def _static_text(name: str) -> str:
    return files("milp_planner.web.page").joinpath("static", name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("milp_planner.web.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
