"""The form: the file that it stands for, faults at their fields, and choices taken as questions."""

from __future__ import annotations

import json
import re

import pytest

from milp_planner import InputError, decision_sheet, load_catalog, load_problem, solve
from milp_planner.inputs.one_line import problem_of
from milp_planner.inputs.problem.fingerprint import problem_sha256
from milp_planner.inputs.reading.strict_yaml import read_yaml
from tests.support.shown.extras import needed
from tests.support.toy import CATALOG, PROBLEM

pytest_plugins = ["tests.support.toy_cli", "tests.support.served.toy_server"]
needed("starlette", "web")

from milp_planner.questions.choices.usual import USUAL  # noqa: E402
from milp_planner.reporting.sheets.words import choice_row  # noqa: E402
from milp_planner.web.page import views  # noqa: E402
from milp_planner.web.page.document import (  # noqa: E402
    Said,
    document_of,
    text_of,
    with_fields,
    with_patch,
)
from milp_planner.web.page.fields import FIELDS, texts_of  # noqa: E402
from milp_planner.web.page.taking import NOT_SAID, PATCHES, Taking, taken  # noqa: E402

LINE = {"llm": "tiny", "tokens_per_day": "5M", "pattern": "bursty", "tpot": "50ms", "budget": "$9k"}
TOY = {"catalog": "toy", "llm": "tiny", "requests_per_second": "13", "input": "1", "output": "1"}


def filled(fields, base=""):
    return text_of(with_fields(document_of(base), fields))


# ---- the file


def test_a_form_stands_for_the_file_that_one_line_saves():
    more = {"region": "eu, us", "providers": "aws", "survive_loss_of": "provider", "today": "12k"}
    text = filled({**LINE, **more})
    assert text == (
        "schema_version: 1\n"
        "workloads:\n"
        "  - name: chat\n"
        "    llm: tiny\n"
        "    traffic: {kind: tokens_per_day, tokens_per_day: 5M, pattern: bursty}\n"
        "    latency: {tpot: 50ms}\n"
        "    requests: {input_tokens: 1500, output_tokens: 300}\n"
        "limits:\n"
        "  budget: {usd_per_month: $9k}\n"
        "  providers: {allow: [aws]}\n"
        "  regions: {allow: [eu, us]}\n"
        "  survive_loss_of: provider\n"
        "today: {usd_per_month: 12k}\n"
    )
    said = {**LINE, **more, "region": ["eu", "us"]}
    assert problem_sha256(load_problem("x.yaml", text=text)) == problem_sha256(problem_of(said))


@pytest.mark.parametrize(
    ("fields", "traffic"),
    [
        (
            {"tokens_per_month": "150M", "pattern": "steady"},
            "tokens_per_month: 150M, pattern: steady",
        ),
        ({"requests_per_second": "6", "pattern": "bursty"}, "requests_per_second: 6"),
        ({"users": "20", "tokens_per_s": "30", "hours": ""}, "users: 20, tokens_per_s: 30"),
        ({"tokens_per_day": "5M", "hours": "1 2,  3"}, "tokens_per_day: 5M, weights: [1, 2, 3]"),
        ({"trace": "my log.csv"}, 'file: "my log.csv"'),
    ],
)
def test_a_traffic_has_the_keys_of_its_kind_alone(fields, traffic):
    text = filled({"llm": "tiny", **fields})
    assert re.search(r"traffic: \{kind: \w+, (.*)\}", text)[1] == traffic
    assert ("requests:" in text) is ("trace" not in fields)


def test_what_a_file_says_stays_unless_a_field_says_otherwise():
    base = PROBLEM.replace(
        "policy:", "limits: {budget: {usd_per_month: 9k}, gpus: {deny: [x]}}\npolicy:"
    )
    assert read_yaml("x", text=filled({}, base)).data == document_of(base)
    changed = read_yaml("x", text=filled({"requests_per_second": "3", "budget": ""}, base)).data
    assert changed["workloads"][0]["traffic"] == {
        "kind": "requests_per_second",
        "requests_per_second": 3,
    }
    assert changed["limits"] == {"gpus": {"deny": ["x"]}}
    assert changed["policy"] == document_of(base)["policy"]
    other = {"requests_per_second": "", "tokens_per_day": "1M", "pattern": "bursty"}
    traffic = read_yaml("x", text=filled(other, base)).data["workloads"][0]["traffic"]
    assert traffic == {"kind": "tokens_per_day", "tokens_per_day": "1M", "pattern": "bursty"}


def test_fields_show_what_a_file_says_and_stay_away_from_what_they_have_no_words_for():
    shown = texts_of(document_of(PROBLEM))
    assert {name: text for name, text in shown.items() if text} == TOY
    sizes = "[{input_tokens: 1, output_tokens: 1, share: 1}]"
    several = PROBLEM.replace("{input_tokens: 1, output_tokens: 1}", sizes)
    assert FIELDS.keys() - texts_of(document_of(several)).keys() == {"input", "output"}
    with pytest.raises(InputError, match="is said another way in the file"):
        filled({"input": "5"}, several)


def test_what_is_written_is_read_as_it_was():
    texts = ["", " a", "a b", "5M", "5", "1e5", ".5", "0x1f", "yes", "Null", "~", "-", "*a", "&a"]
    texts += ["a: b", "#", "a #b", "'", '"', "{", "[a]", "é", "%", "@", "a\tb", "12:30", "$9k"]
    texts += ["2026-01-01", "1_000", ".inf", "+1", "=", "!a", "a\\n", "?", "|", ">"]
    keys = {text or "empty": i for i, text in enumerate(texts)}
    document = {"a": texts, "limits": keys, "b": [1.5, True, None]}
    document["workloads"] = [{"name": "x", "deep": [{"y": {"z": []}}]}, {"name": "y"}]
    assert read_yaml("x", text=text_of(document)).data == document
    said = text_of({"a": [Said("5"), Said("50ms"), Said("a: b")]})
    assert read_yaml("x", text=said).data == {"a": [5, "50ms", "a: b"]}


# ---- choices

SHOP = {
    **CATALOG,
    "offerings.csv": "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,source\n"
    "aws,big,us-east-1,dedicated,big,1,6,2026-01-15,test\n"
    "gcp,small,europe-west4,dedicated,small,1,2.5,2026-01-15,test\n"
    "acme,big,us-east-1,dedicated,big,1,4,2026-01-15,test\n"
    "acme,big,us-east-1,reserved_1y,big,1,2.9,2026-01-15,test\n"
    "acme,big,us-east-1,spot,big,1,2,2026-01-15,test\n"
    "bolt,small,eu-central-1,dedicated,small,1,1.5,2026-02-20,test\n",
    "token_prices.csv": "provider,llm,usd_per_m_input_tokens,usd_per_m_output_tokens,as_of,source\n"
    "cove,tiny,100,100,2026-01-15,test\n",
}


def test_a_choice_that_is_taken_costs_what_its_row_says(tmp_path):
    for name, content in SHOP.items():
        (tmp_path / name).write_text(content)
    catalog = load_catalog(tmp_path)
    own = "choices: {own: {one GPU each: {limits.max_gpus.per_gpu: {big: 1, small: 9}}}}\n"
    base = PROBLEM.replace("alternatives:", f"{own}alternatives:")
    problem = load_problem("x.yaml", text=base)
    sheet = decision_sheet(problem, catalog)
    rows = dict(Taking(problem, catalog, sheet).rows())
    found = {c.key: c for c in sheet.choices if choice_row(sheet, c)[0] in rows}
    assert found.keys() >= {"one_provider", "large_clouds", "one_region_group", "spot", "per_token"}
    for choice in found.values():
        text = text_of(with_patch(document_of(base), rows[choice_row(sheet, choice)[0]]))
        plan = solve(load_problem("x.yaml", text=text), catalog, alternatives=0, diagnose=False)
        assert plan.cash_usd_per_month == pytest.approx(choice.cash_usd_per_month), choice.key
    assert PATCHES.keys() | NOT_SAID.keys() == USUAL.keys()


def test_a_choice_that_no_problem_says_says_why(tmp_path):
    for name, content in SHOP.items():
        (tmp_path / name).write_text(content)
    catalog = load_catalog(tmp_path)
    wider = "choices: {own: {twice: {traffic: 2}}}\ntoday: {usd_per_month: 9000}\n"
    fleet = "current_fleet: [{offering: bolt/small/eu-central-1, workload: chat, units: 5}]\n"
    problem = load_problem("x.yaml", text=f"{PROBLEM}{wider}{fleet}")
    taking = Taking(problem, catalog, decision_sheet(problem, catalog))
    why = dict(taking.untaken())
    assert why == {
        "half of it per token": "no key of a problem sends half to an API",
        "today's fleet": "no key of a problem holds on to a fleet; milp-planner evaluate judges it",
        "today's bill": "a bill says no fleet; written as the budget, it binds",
        "twice": "it changes more than keys of a problem",
    }
    assert not why.keys() & dict(taking.rows()).keys()


@pytest.mark.slow
def test_a_lever_that_is_taken_costs_what_it_says(client):
    # 23 requests/s at 75 %: four big ones of acme, $11,520; at 85 % three, $8,640; with bolt,
    # three and a small one, $9,720.
    fields = {**TOY, "requests_per_second": "23", "providers": "acme"}
    bolt = "leave out limits.providers (allow acme)"
    last = asked(client, fields)[-1]
    assert last["usd"] == 11_520
    saving = {
        lever["name"]: lever["cash_usd_per_month"]
        for lever in json.loads(last["files"]["sheet"])["levers"]
        if lever["saves_usd_per_month"]
    }
    assert saving == {"plan for a utilization of 85 %": 8640, bolt: 9720}
    for name, usd in saving.items():
        assert name in last["html"]
        change = last["levers"][name]
        more = {"yaml": change["yaml"]} if "yaml" in change else {}
        said = {} if more else {**fields, **change["fields"]}
        assert asked(client, said, **more)[-1]["usd"] == usd
    assert last["levers"][bolt] == {"fields": {"providers": ""}}


def test_what_a_change_says_is_put_into_its_field_or_beside_what_else_the_file_says():
    line = filled(LINE)
    tpot = {"workloads.chat.latency.tpot": "100ms"}
    assert taken("", line, tpot) == {"fields": {"tpot": "100ms"}}
    assert "latency: {tpot: 100ms}" in taken(line, line, tpot)["yaml"]
    base = PROBLEM.replace("{target: 100%}", "{target: 60%, ceiling: 70%, by: target}")
    patch = {"policy.utilization": {"target": 0.75, "ceiling": None}}
    changed = with_patch(document_of(base), patch)
    assert changed["policy"] == {"utilization": {"target": 0.75, "by": "target"}}


# ---- the page's own questions


def asked(client, fields, **more):
    reply = client.post("/page/answer", {"fields": fields, **more})
    assert reply.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in reply.text.splitlines()]


def test_an_answer_comes_step_by_step_and_is_that_of_the_command_line(run, client, folder):
    steps = asked(client, {**TOY, "today": "5000"})
    names = [step["step"] for step in steps]
    assert names[:4] == ["waiting", "question", "planning", "plan"]
    assert names[-2:] == ["rest", "answer"]
    assert {*names[4:-2]} == {"choice"}
    first, last = steps[3], steps[-1]
    # Two big ones at 75 %: $5,760.
    assert (first["headline"], first["usd"], last["usd"]) == ("$5,760", 5760, 5760)
    assert "style=" not in last["html"]
    assert "What else there is" in last["html"]
    assert "What else there is" not in first["html"]
    (folder / "mine.yaml").write_text(steps[1]["yaml"])
    said = run("solve", "mine.yaml", "--format", "csv")[1]
    assert last["files"]["csv"] == said
    assert json.loads(last["files"]["sheet"])["answer"]["cash_usd_per_month"] == last["usd"]
    assert last["takes"]["survives the loss of a provider"] == {
        "fields": {"survive_loss_of": "provider"}
    }
    two = {"old": json.loads(last["files"]["sheet"]), "new": json.loads(last["files"]["sheet"])}
    assert client.post("/page/compare", two).json["last"] == "Monthly cost stays at $5,760."


FUTURES = "futures: [{name: base, probability: 60%}, {name: hit, probability: 40%, traffic: 2}]\n"


def test_a_file_with_futures_is_answered_with_its_sheet(run, client, folder):
    reply = client.post("/page/answer", {"yaml": PROBLEM + FUTURES})
    steps = [json.loads(line) for line in reply.text.splitlines()]
    assert [step["step"] for step in steps] == ["waiting", "question", "planning", "answer"]
    assert "What each future comes to" in steps[-1]["html"]
    assert (steps[-1]["takes"], steps[-1]["levers"]) == ({}, {})
    (folder / "two.yaml").write_text(PROBLEM + FUTURES)
    assert steps[-1]["files"]["csv"] == run("solve", "two.yaml", "--format", "csv")[1]


def test_a_file_with_a_horizon_is_refused_with_what_plans_it(client):
    reply = client.post("/page/answer", {"yaml": PROBLEM + "horizon: {months: 3}\n"})
    last = json.loads(reply.text.splitlines()[-1])
    assert last["step"] == "faults"
    [fault] = last["faults"]
    assert "horizon: this is asked of one month, not of several" in fault["message"]
    assert "milp-planner solve and plan_months plan all of its months" in fault["hint"]


def test_without_a_plan_a_change_that_gives_one_can_be_taken(client):
    last = asked(client, {**TOY, "budget": "100"})[-1]
    assert (last["step"], last["usd"], last["headline"]) == ("answer", None, "no plan")
    [(row, taken)] = last["takes"].items()
    assert row in last["html"]
    assert taken == {"fields": {"budget": "5760"}}
    base = client.post("/page/answer", {"yaml": PROBLEM, "fields": {"budget": "100"}})
    [(_, taken)] = json.loads(base.text.splitlines()[-1])["takes"].items()
    assert "budget: {usd_per_month: 3960" in taken["yaml"]


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({**TOY, "requests_per_second": ""}, [("tokens_per_day", "how much is asked?")]),
        ({**TOY, "llm": "tinny"}, [("llm", "did you mean 'tiny'?")]),
        (
            {**TOY, "tpot": "50", "budget": "much"},
            [("tpot", "a time needs a unit: write '800ms' or '2s'"), ("budget", "'much'")],
        ),
        ({**TOY, "providers": "acmee"}, [("providers", "no provider 'acmee'")]),
        ({**TOY, "catalog": "/etc"}, [("catalog", "may name no file")]),
        ({**TOY, "requests_per_second": "", "trace": "a.csv"}, [("trace", "may name no file")]),
        ({**TOY, "users": "3"}, [("tokens_per_day", "only one of tokens_per_day")]),
    ],
)
def test_faults_stand_at_their_fields_in_the_words_of_the_command_line(client, fields, faults):
    last = asked(client, fields)[-1]
    assert last["step"] == "faults"
    assert [fault["field"] for fault in last["faults"]] == [field for field, _ in faults]
    for fault, (_, words) in zip(last["faults"], faults, strict=True):
        assert words in fault["message"]


def test_faults_of_a_file_have_its_lines(client):
    wrong = PROBLEM.replace("alternatives: {count: 1}", "alternatives: {cuont: 1}")
    [fault] = asked(client, {}, yaml=wrong)[-1]["faults"]
    assert (fault["field"], fault["message"].partition(":")[0]) == ("", "alternatives.cuont")
    broken = asked(client, {}, yaml="a: [")[-1]["faults"]
    assert [(fault["field"], fault["line"] > 0) for fault in broken] == [("", True)]
    kept = client.post("/api/files", b"arrival,input_tokens,output_tokens\n1,x,1\n").json["upload"]
    trace = {"catalog": "toy", "llm": "tiny", "trace": "log.csv"}
    [fault] = asked(client, trace, uploads={"log.csv": kept})[-1]["faults"]
    assert (fault["field"], fault["line"]) == ("trace", 2)


def test_the_form_is_filled_from_a_file(client):
    reply = client.post("/page/fields", {"yaml": PROBLEM}).json
    assert {name: text for name, text in reply["fields"].items() if text} == TOY
    assert (reply["locked"], reply["workloads"]) == ([], 1)
    assert client.post("/page/fields", {"yaml": "a: 1"}).json["faults"][0]["path"] == "workloads"


# ---- the page itself


def test_the_page_has_nothing_inline_and_fetches_nothing_from_elsewhere(client, served):
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?:", page.text)
    linked = re.findall(r'(?:href|src)="(/[^"]+)"', page.text)
    modules = {f"/static/{name}" for name in views.STATIC}
    assert {*linked} == {
        "/static/sheet.css",
        "/static/page.css",
        "/static/page.js",
        "/static/icon.svg",
    }
    for address in {*linked, *modules}:
        reply = client.get(address)
        assert reply.status == 200
        others = reply.text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|@import|url\(|eval\(", others), address
    assert client.get("/static/../page.py").status == 404


def test_hostile_names_are_escaped_on_the_page(client, served):
    from dataclasses import replace

    from milp_planner.web.page.views import Page

    evil = '"><img src=x onerror=alert(1)>'
    sources = served.answers.sources
    sources.fixed = replace(sources.catalog("toy"), name=evil)
    object.__setattr__(served, "yaml", f"name: '{evil}'")
    text = Page(served.answers, served.solves, served.yaml)._page(None).body.decode()
    assert "<img" not in text
    assert text.count("&lt;img") >= 2


def test_every_field_has_an_input_and_a_place_for_its_fault(client):
    text = client.get("/").text
    inputs = {*re.findall(r'name="([\w-]+)"', text), *re.findall(r'data-several="(\w+)"', text)}
    units = {*re.findall(r'<option value="(\w+)">', text)}
    assert FIELDS.keys() <= inputs | units
    slots = {*re.findall(r'data-fault="([\w-]+)"', text)}
    volumes = {"tokens_per_day", "tokens_per_month", "requests_per_second", "users"}
    assert FIELDS.keys() - volumes <= slots
