"""So many solves at once, so many in the queue, and none that nobody waits for."""

from __future__ import annotations

import asyncio
import threading

import pytest
import yaml

from tests.support.toy import PROBLEM

pytest_plugins = ["tests.support.toy_cli", "tests.support.served.toy_server"]

QUESTION = {"problem": yaml.safe_load(PROBLEM)}
PATIENCE_S = 60.0


@pytest.fixture
def held(served, monkeypatch):
    """A solve that takes until it is let go or cancelled; what became of each."""
    from milp_planner.web.asking.answers import Answer, Answers

    class Held:
        def __init__(self):
            self.go, self.began = threading.Event(), threading.Semaphore(0)
            self.ended = []

        def plan(self, question, cancel):
            self.began.release()
            while not (self.go.is_set() or cancel.wait(0.005)):
                pass
            self.ended.append("cancelled" if cancel.is_set() else "answered")
            return Answer("{}")

    found = Held()
    monkeypatch.setattr(Answers, "plan", lambda _, *asked: found.plan(*asked))
    return found


async def until_began(held):
    assert await asyncio.to_thread(held.began.acquire, True, PATIENCE_S)


async def until(true):
    while not true():
        await asyncio.sleep(0.005)


def test_two_run_one_waits_and_more_are_sent_away(client, served, held):
    async def scene():
        asked = [asyncio.ensure_future(client.ask("POST", "/api/plan", QUESTION)) for _ in range(2)]
        await until_began(held)
        await until_began(held)
        waiting = asyncio.ensure_future(client.ask("POST", "/api/plan", QUESTION))
        await until(lambda: served.solves.waiting == 1)
        refused = await client.ask("POST", "/api/plan", QUESTION)
        held.go.set()
        return refused, await asyncio.gather(*asked, waiting)

    refused, answered = client.run(scene())
    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    assert refused.json["detail"] == "1 questions wait already; ask again later"
    assert [reply.status for reply in answered] == [200, 200, 200]
    assert held.ended == ["answered"] * 3
    assert served.solves.waiting == 0


def test_who_hangs_up_ends_the_solve_and_frees_its_place(client, served, held):
    async def scene():
        gone, late = asyncio.Event(), asyncio.Event()
        asked = [
            asyncio.ensure_future(client.ask("POST", "/api/plan", QUESTION, hang_up=event))
            for event in (gone, gone)
        ]
        await until_began(held)
        await until_began(held)
        queued = asyncio.ensure_future(client.ask("POST", "/api/plan", QUESTION, hang_up=late))
        await until(lambda: served.solves.waiting == 1)
        late.set()  # it never begins
        assert (await queued).status == 499
        gone.set()
        assert [(await reply).status for reply in asked] == [499, 499]
        held.go.set()
        return await client.ask("POST", "/api/plan", QUESTION)

    assert client.run(scene()).status == 200
    assert held.ended == ["cancelled", "cancelled", "answered"]


def test_closing_ends_what_runs_and_takes_nothing_more(client, served, held):
    async def scene():
        asked = asyncio.ensure_future(client.ask("POST", "/api/plan", QUESTION))
        await until_began(held)
        served.solves.close()
        return await asked, await client.ask("POST", "/api/plan", QUESTION)

    first, second = client.run(scene())
    assert held.ended == ["cancelled"]
    assert (first.status, second.status) == (200, 503)


@pytest.mark.parametrize("name", ["plan", "what-if", "explain"])
def test_every_question_ends_once_it_is_cancelled(served, name):
    # What is cancelled from the start gives what it has, or is out of time; no solver is asked.
    from milp_planner.deadline import OutOfTime, until
    from milp_planner.web.asking.answers import QUESTIONS, read_question

    more = {"plan": {}, "what-if": {"traffic": [1]}, "explain": {"limits": True}}[name]
    question = read_question(QUESTIONS[name], {**QUESTION, **more})
    cancel = threading.Event()
    cancel.set()
    ask = getattr(served.answers, name.replace("-", "_"))
    with until(float("inf"), cancel):
        try:
            text = ask(question, cancel).text
        except OutOfTime:
            return
    assert '"status": "optimal"' not in text


def test_a_bug_of_ours_is_told_as_one(client, served, monkeypatch):
    from milp_planner.web.asking.answers import Answers

    def broken(*asked):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(Answers, "plan", broken)
    with pytest.raises(ZeroDivisionError):  # it goes on into the server's log
        client.post("/api/plan", QUESTION)
