"""No question takes longer than the server lets it: what is known by then is the answer."""

from __future__ import annotations

import json
import time

import pytest
import yaml

from milp_planner import load_catalog
from milp_planner.candidates import listing
from milp_planner.deadline import OutOfTime, check
from tests.support.served.client import Client
from tests.support.shown.extras import needed
from tests.support.toy import PROBLEM

pytest_plugins = ["tests.support.toy_cli"]
needed("starlette", "web")

from milp_planner.web import running  # noqa: E402
from milp_planner.web.app import Served, application  # noqa: E402
from milp_planner.web.asking.answers import Answers  # noqa: E402
from milp_planner.web.asking.sources import Sources  # noqa: E402
from milp_planner.web.server.solves import Solves  # noqa: E402

LIMIT_S = 0.2
STEPS, STEP_S = 3000, 0.02


@pytest.fixture
def client(folder):
    """Asks a server that gives every question a fifth of a second."""
    with Sources(own={"toy": load_catalog(folder / "toy")}) as sources:
        served = Served(Answers(sources, LIMIT_S), Solves(2))
        made = Client(application(served))
        yield made
        made.close()
        served.solves.close()
        served.solves.join()


@pytest.fixture
def listing_goes_on(monkeypatch):
    """To list what is sold takes a minute, unless somebody ends it."""

    def goes_on(*given, **how):
        for _ in range(STEPS):
            check()
            time.sleep(STEP_S)
        raise AssertionError("nobody ended it")

    monkeypatch.setattr(listing, "_listed_for", goes_on)


def problem(**changed):
    return {**yaml.safe_load(PROBLEM), **changed}


FIRST = [("small", 5)]
"""13 requests/s by one kind alone, which is the first plan, $5,400; the best one is $3,960."""


@pytest.mark.parametrize("asked", ["", "1h"])
def test_a_plan_at_the_limit_is_the_best_so_far_as_on_the_command_line(
    run, client, listing_goes_on, asked
):
    said = {"time_limit": asked} if asked else {}  # no question raises the server's limit
    reply = client.post("/api/plan", {"problem": problem(), "reproducible": True, **said})
    assert reply.status == 200
    assert reply.json["status"] == "feasible"
    assert [(p["gpu"], p["units"]) for p in reply.json["purchases"]] == FIRST
    flags = ("--time-limit", f"{LIMIT_S}s", "--reproducible", "--json")
    code, text, _ = run("solve", "toy.yaml", *flags)
    assert (code, text) == (0, reply.text)


def test_no_plan_in_time_is_said_as_on_the_command_line(run, client, folder, listing_goes_on):
    # Two GPUs never serve 40 requests/s; that there is no plan is not proven by then.
    traffic = PROBLEM.replace("13", "40")
    (folder / "toy.yaml").write_text(traffic + "limits: {max_gpus: {total: 2}}\n")
    text = (folder / "toy.yaml").read_text()
    reply = client.post("/api/plan?reproducible=true", text)
    assert (reply.status, reply.json["status"]) == (200, "no_plan")
    flags = ("--time-limit", f"{LIMIT_S}s", "--reproducible", "--json")
    assert run("solve", "toy.yaml", *flags)[1] == reply.text
    told = client.post("/api/plan?document=text", text).text
    assert told.startswith("No plan found before the solvers stopped, which does not prove")


@pytest.mark.parametrize(
    ("name", "more", "left_open"),
    [
        ("plan", {"document": "sheet"}, '"status": "feasible"'),
        ("what-if", {"traffic": [1, 2]}, '"status": "no_plan"'),
        ("what-if", {"every_budget": [1000, 4000]}, "the time limit ended the search"),
        ("explain", {"limits": True}, '"policy.utilization.target",'),
        ("explain", {"gpu": "big"}, '"verdict": "not reached"'),
    ],
)
def test_every_question_ends_at_the_limit_and_says_what_is_open(
    client, listing_goes_on, name, more, left_open
):
    reply = client.post(f"/api/{name}", {"problem": problem(), "time_limit": "1h", **more})
    assert reply.status == 200
    assert left_open in reply.text


def test_the_page_shows_what_is_known_at_the_limit(client, listing_goes_on):
    steps = client.post("/page/answer", {"yaml": PROBLEM}).text.splitlines()
    last = json.loads(steps[-1])
    assert (last["step"], last["headline"]) == ("answer", "$5,400")
    assert json.loads(last["files"]["json"])["status"] == "feasible"


def test_what_is_out_of_time_without_any_answer_is_told_as_that(client, monkeypatch):
    def late(*given, **how):
        raise OutOfTime

    monkeypatch.setattr(Answers, "plan", late)
    reply = client.post("/api/plan", {"problem": problem()})
    assert (reply.status, reply.headers["content-type"]) == (504, "application/problem+json")
    assert reply.json["detail"] == "the time limit ended it before there was an answer"


@pytest.mark.parametrize(("flags", "limit_s"), [([], 120), (["--time-limit", "7s"], 7)])
def test_serve_sets_the_limit_of_every_question(run, monkeypatch, flags, limit_s):
    limits = []
    monkeypatch.setattr(running, "run", lambda served, *rest: limits.append(served.answers))
    assert run("serve", "--port", "0", *flags)[0] == 0
    assert [answers.most_time_s for answers in limits] == [limit_s]
