"""What went wrong, as an HTTP response: problem documents (RFC 9457), with every fault's place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from milp_planner.deadline import OutOfTime
from milp_planner.errors import InputError, PlannerError, SolverError
from milp_planner.lazily import dataclass, field
from milp_planner.reporting.documents.json import to_json
from milp_planner.reporting.text.wording import escape_lines

MEDIA_TYPE = "application/problem+json"
TYPES = "/api/problems/"
"""Where the types of problems are said, relative to the server."""

KINDS: Mapping[str, tuple[int, str]] = {
    "malformed": (400, "The request cannot be read"),
    "cross-site": (403, "Another site may not ask here"),
    "not-found": (404, "There is nothing here"),
    "method": (405, "That cannot be done here"),
    "too-slow": (408, "The request did not arrive in time"),
    "too-large": (413, "The request is too large"),
    "media-type": (415, "The request is in a form that is not read"),
    "host": (421, "This server goes by another name"),
    "input": (422, "The question has faults"),
    "bug": (500, "A bug of ours"),
    "solver": (500, "The solvers failed"),
    "busy": (503, "Too many questions at once"),
    "time": (504, "No answer in time"),
}
"""Status code and title of every kind of problem."""


@dataclass
class Refused(Exception):
    """A request that gets no answer, and why."""

    kind: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


def problem_document(kind: str, detail: str, faults: tuple[Any, ...] = ()) -> dict[str, Any]:
    """The document; `faults` each with file, line, column, path, message and hint."""
    status, title = KINDS[kind]
    return {
        "type": f"{TYPES}{kind}",
        "title": title,
        "status": status,
        "detail": escape_lines(detail),
        **({"faults": [fault.to_dict() for fault in faults]} if faults else {}),
    }


def document_of(error: Exception) -> dict[str, Any]:
    """The document of an error; one that is not expected is a bug of ours."""
    if isinstance(error, Refused):
        return problem_document(error.kind, error.detail)
    if isinstance(error, InputError):
        return problem_document("input", str(error), error.faults)
    if isinstance(error, SolverError):
        return problem_document("solver", str(error))
    if isinstance(error, PlannerError):
        return problem_document("input", str(error))
    if isinstance(error, OutOfTime):
        return problem_document("time", "the time limit ended it before there was an answer")
    return problem_document("bug", f"{type(error).__name__}; the server's terminal says more")


def refusal(error: Exception) -> Response:
    """The response that tells of an error."""
    document = document_of(error)
    headers = dict(error.headers) if isinstance(error, Refused) else {}
    return Response(
        to_json(document), status_code=document["status"], media_type=MEDIA_TYPE, headers=headers
    )
