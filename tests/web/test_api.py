"""The API says what the command line says, byte for byte, and what is wrong at its place."""

from __future__ import annotations

import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from milp_planner.cli.commands.schema import DIALECT
from tests.support.toy import PROBLEM

pytest_plugins = ["tests.support.toy_cli", "tests.support.served.toy_server"]

KEYS = yaml.safe_load(PROBLEM)
"""The toy problem as data: 13 requests/s, one big and one small, $3,960 a month."""


@pytest.mark.parametrize(
    ("document", "flags", "media_type"),
    [
        ("plan", ["--json"], "application/json"),
        ("sheet", ["--format", "sheet-json", "--no-choices"], "application/json"),
        ("report", ["--format", "html", "--no-choices"], "text/html; charset=utf-8"),
        ("csv", ["--format", "csv"], "text/csv; charset=utf-8"),
        ("text", ["--format", "text"], "text/plain; charset=utf-8"),
    ],
)
def test_a_plan_is_the_document_of_solve(run, client, document, flags, media_type):
    said = run("solve", "toy.yaml", "--reproducible", *flags)[1]
    how = {"document": document, "reproducible": True, "choices": False}
    reply = client.post("/api/plan", {"problem": KEYS, **how})
    assert (reply.status, reply.headers["content-type"]) == (200, media_type)
    assert reply.text == said
    as_yaml = f"/api/plan?document={document}&reproducible=true&choices=false"
    assert client.post(as_yaml, PROBLEM).text == said
    assert client.post("/api/plan", {"problem": PROBLEM, **how}).text == said


MONTHS = {
    "horizon": {"months": 3, "growth": "10%/month"},
    "futures": [{"name": "low", "probability": 0.5}, {"name": "high", "probability": 0.5}],
    "quotes": [{"offering": "acme/*", "term": "2 months", "discount": 0.3}],
    "alternatives": {"count": 0},
}


@pytest.mark.parametrize(
    ("document", "flags", "media_type"),
    [
        ("plan", ["--json"], "application/json"),
        ("sheet", ["--format", "sheet-json"], "application/json"),
        ("report", ["--format", "html"], "text/html; charset=utf-8"),
        ("text", ["--format", "text"], "text/plain; charset=utf-8"),
    ],
)
def test_over_months_the_answer_is_the_calendar_of_solve(
    run, client, folder, document, flags, media_type
):
    asked = {**KEYS, **MONTHS}
    (folder / "months.yaml").write_text(yaml.safe_dump(asked))
    code, said, wrong = run("solve", "months.yaml", "--reproducible", *flags)
    assert (code, wrong) == (0, "")
    reply = client.post("/api/plan", {"problem": asked, "document": document, "reproducible": True})
    assert (reply.status, reply.headers["content-type"]) == (200, media_type)
    assert reply.text == said
    if document == "plan":
        schema = client.get("/api/openapi.json").json["components"]["schemas"]["CalendarDocument"]
        assert set(schema["required"]) <= set(reply.json)
        assert len(reply.json["futures"]) == 2


def test_what_a_calendar_is_not_written_as_is_said_at_its_place(client):
    reply = client.post("/api/plan", {"problem": {**KEYS, **MONTHS}, "document": "csv"})
    assert reply.status == 422
    [fault] = reply.json["faults"]
    assert fault["path"] == "document"
    assert fault["message"] == "a calendar is written as plan, sheet, report, text, not csv"


def test_without_time_for_a_calendar_that_is_said(client, monkeypatch):
    monkeypatch.setattr("milp_planner.web.asking.answers.plan_months", lambda *_, **__: None)
    reply = client.post("/api/plan", {"problem": {**KEYS, **MONTHS}})
    [fault] = reply.json["faults"]
    assert (fault["path"], reply.status) == ("time_limit", 422)
    assert fault["message"] == "time was up before there was a calendar; give more"


def test_choices_are_solved_beside_a_sheet(run, client):
    said = run("solve", "toy.yaml", "--reproducible", "--format", "sheet-json")[1]
    reply = client.post("/api/plan?document=sheet&reproducible=true", PROBLEM)
    assert reply.text == said
    assert reply.json["choices"]


def test_words_are_those_of_one_line(run, client):
    line = ("--llm", "tiny", "--catalog", "toy", "--requests-per-second", "13")
    line += ("--input", "1", "--output", "1", "--allow", "spot", "--no-choices", "--reproducible")
    words = {"llm": "tiny", "catalog": "toy", "requests_per_second": 13, "input": 1, "output": "1"}
    asked = {"words": {**words, "allow": ["spot"]}, "document": "sheet", "choices": False}
    reply = client.post("/api/plan", {**asked, "reproducible": True})
    assert run("plan", *line, "-o", "sheet.json")[0] == 0
    with open("sheet.json") as file:
        assert reply.text == file.read()


@pytest.mark.parametrize(
    ("flags", "asked"),
    [
        (["--traffic", "1,2"], {"traffic": [1, 2]}),
        (["--budget", "3000,5000"], {"budget": [3000, 5000]}),
        (["--without", "provider:acme"], {"without": ["provider:acme"]}),
        (["--price", "acme/*=2,80%"], {"price": {"acme/*": [2, "80%"]}}),
        (["--limit", "max_gpus.total=3,none"], {"limit": {"max_gpus.total": [3, None]}}),
        (["--budget", "1000:4000"], {"every_budget": [1000, 4000]}),
    ],
)
def test_a_what_if_is_the_document_of_what_if(run, client, flags, asked):
    reply = client.post("/api/what-if", {"problem": KEYS, **asked})
    assert reply.status == 200
    assert reply.text == run("what-if", "toy.yaml", "--json", *flags)[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "asked"),
    [
        (["--provider", "bolt"], {"provider": "bolt"}),
        (["--gpu", "small", "--share", "30%"], {"gpu": "small", "share": "30%"}),
        (["--limits"], {"limits": True}),
    ],
)
def test_an_explanation_is_the_document_of_explain(run, client, flags, asked):
    reply = client.post("/api/explain", {"problem": KEYS, **asked})
    assert reply.status == 200
    assert _without_seconds(reply.json) == _without_seconds(
        json.loads(run("explain", "toy.yaml", "--json", *flags)[1])
    )


def _without_seconds(value):
    if isinstance(value, dict):
        return {k: _without_seconds(v) for k, v in value.items() if k != "seconds"}
    return [_without_seconds(v) for v in value] if isinstance(value, list) else value


def test_an_estimate_is_the_document_of_estimate(run, client, folder):
    deployment = {"name": "mine", "llm": "llama-3.1-8b", "gpu": "l4-24gb", "precision": "bf16"}
    deployment |= {"input": 1500, "output": 300, "concurrency": 4, "latency": "30s"}
    asked = {"schema_version": 1, "deployments": [deployment]}
    (folder / "mine.yaml").write_text(yaml.safe_dump(asked))
    said = run("estimate", "--scenarios", "mine.yaml", "--json", "--quiet")
    assert said[0] == 0
    assert client.post("/api/estimate", asked).text == said[1]
    assert client.post("/api/estimate", {"deployments": [deployment]}).text == said[1]


def test_catalogs_are_the_documents_of_catalog(run, client):
    assert client.get("/api/catalog").json == {"catalogs": ["toy", "inference-atlas", "market"]}
    assert (
        client.get("/api/catalog/toy").text
        == run("catalog", "list", "--catalog", "toy", "--json")[1]
    )
    for kind in ("llms", "gpus", "offerings", "providers"):
        said = run("catalog", "list", kind, "--catalog", "toy", "--json")[1]
        assert client.get(f"/api/catalog/toy/{kind}").text == said
    said = run("catalog", "show", "acme/big/eu-1", "--catalog", "toy", "--json")[1]
    assert client.get("/api/catalog/toy/show/acme/big/eu-1").text == said


def test_a_problem_without_a_plan_is_an_answer(client):
    poor = {**KEYS, "limits": {"budget": {"usd_per_month": 10}}}
    reply = client.post("/api/plan", {"problem": poor})
    assert (reply.status, reply.json["status"]) == (200, "infeasible")


# ---- what is wrong


@pytest.mark.parametrize(
    ("asked", "faults"),
    [
        (
            {"problem": PROBLEM.replace("llm: tiny", "llm: tinny").replace("13", "-3")},
            [("problem.yaml", 7, "workloads[0].traffic.requests_per_second", "must be greater")],
        ),
        (
            {"problem": {**KEYS, "limits": {"budget": "all"}, "name": ""}},
            [("", None, "name", ""), ("", None, "limits.budget", "")],
        ),
        (
            {"problem": {**KEYS, "workloads": [{**KEYS["workloads"][0], "llm": "tinny"}]}},
            [("", None, "workloads[0].llm", "did you mean 'tiny'?")],
        ),
        ({}, [("", None, "problem", "give a problem, or words, and not both")]),
        ({"problem": KEYS, "documint": "plan"}, [("", None, "documint", "document")]),
        ({"words": {"llm": "tiny", "tpott": "1s"}}, [("", None, "tpott", "did you mean 'tpot'?")]),
        ({"words": {"llm": "tiny"}}, [("", None, "", "how much is asked?")]),
        ({"problem": KEYS, "time_limit": 5}, [("", None, "time_limit", "a time needs a unit")]),
    ],
)
def test_every_fault_has_its_place(client, asked, faults):
    reply = client.post("/api/plan", asked)
    assert (reply.status, reply.headers["content-type"]) == (422, "application/problem+json")
    document = reply.json
    assert (document["status"], document["type"]) == (422, "/api/problems/input")
    found = [(f["file"], f["line"], f["path"], f["message"]) for f in document["faults"]]
    assert [place[:3] for place in found] == [place[:3] for place in faults]
    for (*_, said), (*_, wanted) in zip(found, faults, strict=True):
        assert wanted in said


def test_other_questions_tell_their_faults_too(client):
    nothing = client.post("/api/what-if", {"problem": KEYS})
    assert nothing.json["detail"].startswith("nothing to change: give budget, traffic, without")
    scenarios = {"a": {"catalog": "market"}}
    other = client.post("/api/what-if", {"problem": KEYS, "scenarios": scenarios})
    assert other.json["faults"][0]["path"] == "scenarios.a.catalog"
    both = client.post("/api/explain", {"problem": KEYS, "gpu": "big", "limits": True})
    assert both.json["faults"][0]["message"] == "give one of offering, gpu, provider and limits"
    no_gpu = {"name": "a", "llm": "llama-3.1-8b", "input": 1, "output": 1}
    reply = client.post("/api/estimate", {"deployments": [no_gpu]})
    assert reply.json["faults"][0]["path"] == "deployments[0].gpu"


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/nothing", 404, "not-found"),
        ("/api/plan", 405, "method"),
        ("/api/catalog/toy/gpu", 404, "not-found"),
        ("/api/catalog/..", 422, "input"),
        ("/api/catalog/toy/show/nothing", 422, "input"),
    ],
)
def test_addresses_that_lead_nowhere_say_so(client, path, status, kind):
    reply = client.get(path)
    assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json")
    assert reply.json["type"] == f"/api/problems/{kind}"
    assert client.get(reply.json["type"]).json["title"] == reply.json["title"]


# ---- the description


def test_the_description_has_every_address_and_its_schemas_hold(client, served):
    from milp_planner.web.api import Api

    description = client.get("/api/openapi.json").json
    described = {path.replace("{id}", "{id:path}") for path in description["paths"]}
    assert described == {route.path for route in Api(served.answers, served.solves).routes()}
    schemas = description["components"]["schemas"]
    whole = {"$schema": DIALECT, "components": {"schemas": schemas}}

    def check(name, data):
        validator = Draft202012Validator({**whole, "$ref": f"#/components/schemas/{name}"})
        assert [error.message for error in validator.iter_errors(data)] == []

    Draft202012Validator.check_schema(whole)
    check("PlanQuestion", {"problem": KEYS, "time_limit": "5s"})
    check("WhatIfQuestion", {"problem": PROBLEM, "traffic": [1, 2]})
    check("PlanDocument", client.post("/api/plan", {"problem": KEYS}).json)
    sheet = client.post("/api/plan", {"problem": KEYS, "document": "sheet", "choices": False})
    check("SheetDocument", sheet.json)
    check("ProblemDocument", client.post("/api/plan", {}).json)
