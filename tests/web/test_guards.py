"""Who may ask, how much may be sent, and that no name in a request opens a file."""

from __future__ import annotations

import gzip
import json
import sys

import pytest
import yaml

from milp_planner import calibrate, load_problem, solve
from milp_planner.inputs.reading.files import NOT_NAMED
from tests.support.toy import PROBLEM

pytest_plugins = ["tests.support.toy_cli", "tests.support.served.toy_server"]

KEYS = yaml.safe_load(PROBLEM)
TRACE = "arrival,input_tokens,output_tokens\n" + "".join(f"{i},1,1\n" for i in range(60))
"""A request a second: $1,080 for one small one, at 100 % of whose 3 requests/s it runs."""

BENCHMARK = (
    "llm,gpu,input_tokens,output_tokens,concurrency,output_tokens_per_second\n"
    "llama-3.1-8b,l4-24gb,800,200,16,250\n"
)


def trace_of(name, **more):
    [chat] = KEYS["workloads"]
    traffic = {"kind": "trace", "file": name, **more}
    bare = {key: value for key, value in chat.items() if key not in ("requests", "traffic")}
    return {**KEYS, "workloads": [{**bare, "traffic": traffic}]}


@pytest.fixture
def opened():
    """Names of all files that Python opens meanwhile."""
    names, listening = [], [True]

    def listen(event, arguments):
        if listening and event in ("open", "os.listdir", "os.scandir"):
            names.append(str(arguments[0]))

    sys.addaudithook(listen)  # there is no way to take one away: it is made deaf
    yield names
    listening.clear()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:8000"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:8000"}, 421),
        ({"host": ""}, 421),
    ],
)
def test_only_names_of_this_server_are_answered(client, headers, status):
    assert client.get("/api/catalog", **headers).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 422),
        ({"origin": "http://127.0.0.1:8000", "sec_fetch_site": "same-origin"}, 422),
        ({"sec_fetch_site": "none"}, 422),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"origin": "http://127.0.0.1:8001"}, 403),
        ({"origin": "null"}, 403),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
        ({"content_type": "multipart/form-data"}, 415),
        ({"content_type": ""}, 415),
        ({"content_length": "25000001"}, 413),
        ({"content_length": "-1"}, 413),
    ],
)
def test_other_sites_their_forms_and_large_bodies_are_refused(client, headers, status):
    assert client.post("/api/plan", {}, **headers).status == status


def test_a_body_that_is_larger_than_it_says_is_refused(client, monkeypatch):
    from milp_planner.web.server import bodies

    monkeypatch.setattr(bodies.content_of, "__defaults__", (10,))
    assert client.post("/api/files", b"x" * 11, content_length="5").status == 413
    assert client.post("/api/files", b"x" * 10).status == 201


@pytest.mark.parametrize("body", [b"{", b"[1", b"\xff\xfe", b'{"a":1,"a":2}', b'{"a":NaN}', b"[]"])
def test_what_is_not_json_is_said_with_its_place(client, body):
    reply = client.post("/api/plan", body, content_type="application/json")
    assert reply.status in (400, 422)
    assert reply.json["detail"]


def test_every_reply_tells_browsers_to_fetch_nothing_and_frame_nothing(client):
    for reply in (client.get("/api/catalog"), client.get("/x"), client.get("/", host="evil")):
        assert "default-src 'none'; script-src 'self'" in reply.headers["content-security-policy"]
        assert "unsafe" not in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in reply.headers


# ---- files


def secret_questions(path):
    """Every place of a question in which a path might be named."""
    named = trace_of(path)
    [workload] = named["workloads"]
    traffic = {**workload["traffic"], "requests_per_second": None}
    patch = {"workloads.chat": {"traffic": traffic, "requests": None}}
    yield "plan", {"problem": {**KEYS, "catalog": path}}
    yield "plan", {"problem": PROBLEM.replace("catalog: toy", f"catalog: {path}")}
    yield "plan", {"words": {"llm": "tiny", "requests_per_second": 1, "catalog": path}}
    yield "plan", {"problem": named}
    yield "plan", {"problem": {**KEYS, "choices": {"own": {"a": patch}}}, "document": "sheet"}
    yield "plan", {"problem": KEYS, "benchmarks": [{"file": path, "upload": "0" * 64}]}
    yield "plan", {"problem": KEYS, "uploads": {path: "0" * 64}}
    yield "plan", {"problem": trace_of("a.csv"), "uploads": {"a.csv": path}}
    yield "what-if", {"problem": KEYS, "scenarios": {"a": {"catalog": path}}}
    yield "what-if", {"problem": KEYS, "scenarios": {"a": patch}}
    yield "explain", {"problem": named, "gpu": "big"}
    yield "estimate", {"deployments": [{"name": "a", "llm": "tiny"}], "catalog": path}


def test_no_path_of_a_request_reaches_the_file_system(client, folder, opened):
    secret = folder / "s3cret" / "trace.csv"
    secret.parent.mkdir()
    secret.write_text(TRACE)
    opened.clear()
    for path in (str(secret), str(secret.parent), "s3cret/trace.csv", "./s3cret/trace.csv"):
        for kind, asked in secret_questions(path):
            reply = client.post(f"/api/{kind}", asked)
            told = json.loads(reply.text)
            assert reply.status == 422 or NOT_NAMED in str(told), (kind, asked, told)
        client.get(f"/api/catalog/{path}")
        client.get(f"/api/catalog/toy/show/{path}")
    assert not [name for name in opened if "s3cret" in name]


def test_an_uploaded_trace_is_planned_as_on_the_command_line(run, client, folder):
    plain = TRACE.encode()
    for name, content in (("log.csv", plain), ("log.csv.gz", gzip.compress(plain))):
        problem = trace_of(name)
        kept = client.post("/api/files", content).json
        assert kept["bytes"] == len(content)
        asked = {"problem": problem, "reproducible": True}
        reply = client.post("/api/plan", {**asked, "uploads": {name: kept["upload"]}})
        (folder / name).write_bytes(content)
        (folder / "traced.yaml").write_text(yaml.safe_dump(problem))
        assert reply.text == run("solve", "traced.yaml", "--json", "--reproducible")[1]
        assert client.post("/api/plan", asked).json["faults"][0]["hint"] == "send it as an upload"


def test_what_is_wrong_in_an_upload_is_told_under_its_own_name(client):
    kept = client.post("/api/files", b"arrival,input_tokens,output_tokens\n1,x,1\n").json["upload"]
    asked = {"problem": trace_of("log.csv"), "uploads": {"log.csv": kept}}
    [fault] = client.post("/api/plan", asked).json["faults"]
    assert (fault["file"], fault["line"]) == ("log.csv", 2)
    gone = client.post("/api/plan", {**asked, "uploads": {"log.csv": "0" * 64}}).json["faults"]
    assert [(f["path"], f["message"], f["hint"]) for f in gone] == [
        ("log.csv", "is no longer here", "upload it again")
    ]


def test_an_uploaded_benchmark_stands_before_the_catalog(client, tmp_path, monkeypatch):
    traffic = {"kind": "requests_per_second", "requests_per_second": 5}
    chat = {"name": "chat", "llm": "llama-3.1-8b", "precision": ["bf16"], "traffic": traffic}
    chat |= {"requests": {"input_tokens": 800, "output_tokens": 200}, "tensor_parallel": [1]}
    limits = {"gpus": {"allow": ["l4-24gb"]}, "billing": {"allow": ["dedicated"]}}
    problem = {"schema_version": 1, "workloads": [chat], "limits": limits}
    (tmp_path / "mine.csv").write_text(BENCHMARK)
    kept = client.post("/api/files", BENCHMARK.encode()).json["upload"]
    benchmark = {"file": "mine.csv", "upload": kept}
    asked = {"problem": problem, "alternatives": 0}
    faults = client.post("/api/plan", {**asked, "benchmarks": [benchmark]}).json["faults"]
    assert [(f["file"], f["line"], f["path"], f["message"]) for f in faults] == [
        ("mine.csv", 2, "precision", "required"),
        ("mine.csv", 2, "tensor_parallel", "required"),
    ]

    said = {"precision": "bf16", "tensor_parallel": 1}
    reply = client.post("/api/plan", {**asked, "benchmarks": [{**benchmark, **said}]})
    monkeypatch.chdir(tmp_path)
    measured = calibrate(["mine.csv"], llm="llama-3.1-8b", gpu="l4-24gb", **said)
    (tmp_path / "problem.yaml").write_text(yaml.safe_dump(problem))
    plan = solve(load_problem("problem.yaml"), measured.catalog, alternatives=0)
    assert reply.json["cash_usd_per_month"] == plan.cash_usd_per_month
    without = client.post("/api/plan", asked)
    assert without.json["cash_usd_per_month"] != plan.cash_usd_per_month


def test_uploads_make_room_and_leave_nothing_behind(served, monkeypatch):
    from milp_planner.web.asking import sources

    uploads = served.answers.sources.uploads
    monkeypatch.setattr(sources, "MOST_UPLOADS", 2)
    keys = [uploads.add(content) for content in (b"a", b"b", b"a", b"c")]
    paths = [uploads.path(key) for key in keys]
    assert [path is not None for path in paths] == [True, False, True, True]
    folder = paths[0].parent
    assert len(list(folder.iterdir())) == 2
    uploads.close()
    assert not folder.exists()
