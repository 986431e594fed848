"""The API described for programs: OpenAPI 3.1, made from the records that read questions."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from milp_planner._version import __version__
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.calendars.documents import calendar_schema
from milp_planner.plans.document import plan_schema
from milp_planner.plans.sheet.records import sheet_schema
from milp_planner.reporting.text.inputs.catalog import LISTS
from milp_planner.web.asking.answers import CSV, HTML, JSON, QUESTIONS, TEXT
from milp_planner.web.asking.questions import Question
from milp_planner.web.server.bodies import YAML
from milp_planner.web.server.faults import KINDS, MEDIA_TYPE

SCHEMAS = "#/components/schemas/"
DIALECT_KEYS = ("$schema", "$id")

SUMMARIES = {
    "plan": "The cheapest fleet, with proof: the document of solve --json, or of --format",
    "what-if": "Other budgets, traffic, prices and limits: the document of what-if --json",
    "explain": "Why something is not in the plan: the document of explain --json",
    "estimate": "Deployments side by side: the document of estimate --scenarios FILE --json",
}
READ = {
    "/api/catalog": "Names of the catalogs",
    "/api/catalog/{name}": "How much is in one: the document of catalog list --json",
    "/api/catalog/{name}/{kind}": f"The document of catalog list KIND --json: {', '.join(LISTS)}",
    "/api/catalog/{name}/show/{id}": "The document of catalog show ID --json",
    "/api/openapi.json": "This description",
    "/api/problems/{kind}": "What a kind of problem document means",
}


@cache
def description() -> dict[str, Any]:
    """The OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "milp-planner",
            "version": __version__,
            "description": "Plans the cheapest mixed fleet of GPUs for LLM inference, and proves "
            "it. Errors are problem documents (RFC 9457); those of a question have `faults`, each "
            "with its place.",
        },
        "paths": {
            **{f"/api/{name}": {"post": _ask(name)} for name in QUESTIONS},
            "/api/files": {"post": _upload()},
            **{path: {"get": _read(path, summary)} for path, summary in READ.items()},
        },
        "components": {"schemas": _schemas()},
    }


def _schemas() -> dict[str, Any]:
    records: list[Any] = [(kind, "validation") for kind in (*QUESTIONS.values(), Problem)]
    _, found = models_json_schema(records, ref_template=f"{SCHEMAS}{{model}}")
    schemas: dict[str, Any] = dict(found["$defs"])
    required = schemas["Problem"].get("required", [])
    schemas["Problem"]["required"] = list(dict.fromkeys(["schema_version", *required]))
    for kind in QUESTIONS.values():
        if issubclass(kind, Question):
            described = schemas[kind.__name__]["properties"]["problem"]
            described["anyOf"] = [{"$ref": f"{SCHEMAS}Problem"}, {"type": "string"}]
    schemas["PlanDocument"] = _bare(plan_schema(), "PlanDocument")
    schemas["SheetDocument"] = _bare(sheet_schema(), "SheetDocument")
    schemas["CalendarDocument"] = _bare(calendar_schema(), "CalendarDocument")
    schemas["ProblemDocument"] = _problem_document()
    return schemas


def _bare(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """A schema inside another document: its references lead to where it stands now."""
    bare = {key: value for key, value in schema.items() if key not in DIALECT_KEYS}
    moved = _moved(bare, f"{SCHEMAS}{name}/")
    assert isinstance(moved, dict)
    return moved


def _moved(value: Any, to: str) -> Any:
    if isinstance(value, dict):
        return {
            key: inner.replace("#/", to, 1) if key == "$ref" else _moved(inner, to)
            for key, inner in value.items()
        }
    return [_moved(inner, to) for inner in value] if isinstance(value, list) else value


def _problem_document() -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": ["integer", "null"]}
    place = {"file": text, "line": number, "column": number, "path": text}
    fault = {"type": "object", "properties": {**place, "message": text, "hint": text}}
    return {
        "type": "object",
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "faults": {"type": "array", "items": fault},
        },
        "required": ["type", "title", "status", "detail"],
    }


def _ask(name: str) -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": f"{SCHEMAS}{QUESTIONS[name].__name__}"}}}
    if issubclass(QUESTIONS[name], Question):
        content[YAML[0]] = {"schema": {"type": "string"}}
    return {
        "operationId": name,
        "summary": SUMMARIES[name],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _found(name), **_refusals()},
    }


def _found(name: str) -> dict[str, Any]:
    if name != "plan":
        return {"description": "The document", "content": {JSON: {"schema": {"type": "object"}}}}
    documents = [{"$ref": f"{SCHEMAS}{of}Document"} for of in ("Plan", "Sheet", "Calendar")]
    texts = {media_type: {"schema": {"type": "string"}} for media_type in (CSV, HTML, TEXT)}
    return {
        "description": "The document asked for; a problem without a plan has one, too",
        "content": {JSON: {"schema": {"oneOf": documents}}, **texts},
    }


def _upload() -> dict[str, Any]:
    reply = {"type": "object", "properties": {"upload": {"type": "string"}}}
    return {
        "operationId": "upload",
        "summary": "Keeps a trace or a benchmark, for questions to name by the id it gives",
        "requestBody": {"required": True, "content": {"text/csv": {}, "application/gzip": {}}},
        "responses": {
            "201": {"description": "Kept", "content": {JSON: {"schema": reply}}},
            **_refusals(),
        },
    }


def _read(path: str, summary: str) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return {
        "summary": summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ],
        "responses": {"200": {"description": "The document", "content": {JSON: {}}}, **_refusals()},
    }


def _refusals() -> dict[str, Any]:
    reply = {MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMAS}ProblemDocument"}}}
    titles: dict[str, list[str]] = {}
    for status, title in KINDS.values():
        titles.setdefault(str(status), []).append(title)
    return {
        status: {"description": " / ".join(said), "content": reply}
        for status, said in titles.items()
    }
