"""`milp-planner serve` as a process: it answers, and a Ctrl-C leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from milp_planner.cli.parts import exit_codes
from tests.support.processes import is_gone
from tests.support.served.process import started
from tests.support.shown.extras import needed
from tests.support.toy import ENVIRONMENT, PROBLEM

pytest_plugins = ["tests.support.toy_cli"]


def post(address, path, data):
    body = json.dumps(data).encode()
    request = urllib.request.Request(f"{address}{path}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return reply.read().decode()


def children_of(pid):
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


@pytest.mark.slow
def test_it_serves_a_file_and_ends_with_a_ctrl_c_in_the_middle_of_a_solve(tmp_path, folder, run):
    serving = started(_made(tmp_path / "served"), "toy.yaml")
    try:
        page = urllib.request.urlopen(serving.address).read().decode()
        assert "requests_per_second: 13" in page
        question = {"problem": PROBLEM, "reproducible": True}
        said = run("solve", "toy.yaml", "--json", "--reproducible")[1]
        assert post(serving.address, "api/plan", question) == said
        hard = {
            **question,
            "document": "sheet",
        }  # takes seconds: it is under way when the end comes
        under_way = threading.Thread(target=_asked, args=(serving.address, hard))
        under_way.start()
        children = _once(lambda: [*children_of(serving.process.pid)])
    finally:
        code, told = serving.interrupt()
    assert (code, told) == (exit_codes.INTERRUPTED, "interrupted\n")
    assert all(is_gone(child) for child in children)
    under_way.join()
    assert sorted(p.name for p in serving.folder.iterdir()) == ["toy", "toy.yaml"]


def _made(folder):
    folder.mkdir()
    return folder


def _asked(address, question):
    with contextlib.suppress(OSError):  # the server goes away, as it is told to
        post(address, "api/plan", question)


def _once(found, patience_s=30.0):
    ends_s = time.monotonic() + patience_s
    while time.monotonic() < ends_s:
        if value := found():
            return value
        time.sleep(0.01)
    return []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("absent.yaml",), "absent.yaml: file not found"),
        (("--port", "70000"), "--port"),
        (("--host", "no such host"), "--host no such host: is no address of this machine"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_is(run, arguments, said):
    needed("starlette", "web")
    code, out, err = run("serve", *arguments)
    assert (code, out) == (exit_codes.INPUT, "")
    assert said in err


def test_a_port_that_is_taken_is_said_with_another_way(run, tmp_path):
    serving = started(_made(tmp_path / "served"))
    try:
        port = serving.address.rstrip("/").rpartition(":")[2]
        code, out, err = run("serve", "--port", port)
    finally:
        serving.interrupt()
    assert (code, out) == (exit_codes.INPUT, "")
    assert "hint: --port 0 takes one that is free" in err


def test_another_address_is_warned_of(run, monkeypatch):
    needed("starlette", "web")
    from milp_planner.web import running

    @contextlib.contextmanager
    def listening(host, port):  # nothing is opened to others for a test
        assert (host, port) == ("0.0.0.0", 8000)
        yield SimpleNamespace(getsockname=lambda: ("0.0.0.0", 8123))

    monkeypatch.setattr(running, "listening", listening)
    monkeypatch.setattr(running, "run", lambda served, listener, tell: tell())
    code, out, err = run("serve", "--host", "0.0.0.0")
    assert (code, out) == (exit_codes.FOUND, "http://0.0.0.0:8123/\n")
    assert "0.0.0.0 can be reached from outside, and whoever reaches it may solve" in err


def test_without_its_extra_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    for name in [n for n in sys.modules if n.startswith("milp_planner.web")]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = run("serve")
    assert code == exit_codes.INPUT
    assert "hint: pip install 'milp-planner[web]'" in err


def test_the_help_imports_nothing_of_the_web():
    code = (
        "import sys; from milp_planner.cli import main; main(['serve', '--help']);"
        "print([m for m in sys.modules if m.split('.')[0] in ('starlette', 'uvicorn')])"
    )
    run = [sys.executable, "-c", code]
    said = subprocess.run(run, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout
    assert "--port" in said
    assert said.splitlines()[-1] == "[]"
