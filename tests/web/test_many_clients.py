"""Fifty clients at once: every answer is the command line's, and the server stays as it was."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.served.process import started
from tests.support.toy import PROBLEM

pytest_plugins = ["tests.support.toy_cli"]

CLIENTS = 50
SHARE = float(os.environ.get("SOAK_SHARE", "1"))
RATES = (3, 13, 23, 29, 41)
"""Requests per second; each is a question of its own."""

MOST_GROWTH_MIB = 40.0
RETRY_STATUS = 503


def question(rate):
    problem = PROBLEM.replace("requests_per_second: 13", f"requests_per_second: {rate}")
    return {"problem": problem, "reproducible": True, "alternatives": 1}


class Asker(threading.Thread):
    """One client with a connection of its own, which asks one question after another."""

    def __init__(self, address, answers, first, ends_s):
        super().__init__()
        self.at, self.answers, self.first, self.ends_s = urlsplit(address), answers, first, ends_s
        self.right, self.wrong, self.later = 0, [], 0

    def run(self):
        connection = http.client.HTTPConnection(self.at.hostname, self.at.port, timeout=300)
        turn = self.first
        while time.monotonic() < self.ends_s:
            rate = RATES[turn % len(RATES)]
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/api/plan", json.dumps(question(rate)), headers)
            reply = connection.getresponse()
            text = reply.read().decode()
            if reply.status == RETRY_STATUS:
                self.later += 1
                time.sleep(0.1)
                continue
            turn += 1
            if text == self.answers[rate]:
                self.right += 1
            else:
                self.wrong.append((rate, reply.status, text[:300]))
        connection.close()


def state_of(pid):
    """Threads, open files, and MiB of memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    said = dict(line.split(":", 1) for line in status.splitlines())
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return int(said["Threads"]), files, int(said["VmRSS"].split()[0]) / 1024


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(5.0, marks=pytest.mark.slow),
        pytest.param(60.0 * SHARE, marks=pytest.mark.soak),
    ],
)
def test_fifty_clients_get_the_answers_of_the_command_line(run, folder, tmp_path, seconds):
    answers = {}
    for rate in RATES:
        (folder / "asked.yaml").write_text(question(rate)["problem"])
        answers[rate] = run("solve", "asked.yaml", "--json", "--reproducible")[1]
    home = tmp_path / "served"
    home.mkdir()
    serving = started(home, "--catalog", "toy")
    pid = serving.process.pid
    asked(serving.address, answers, seconds / 5)
    before = state_of(pid)
    clients = asked(serving.address, answers, seconds)
    _settled(pid, before)
    after = state_of(pid)
    right = sum(client.right for client in clients)
    later = sum(client.later for client in clients)
    print(f"{right} answers in {seconds:g} s to {CLIENTS} clients, {later} told to come later; ")
    print(f"threads, files, MiB: {before} before, {after} after")
    assert [client.wrong for client in clients if client.wrong] == []
    assert all(client.right for client in clients)
    assert after[:2] <= before[:2]
    assert after[2] <= before[2] + MOST_GROWTH_MIB
    assert serving.interrupt() == (130, "interrupted\n")
    assert sorted(path.name for path in home.iterdir()) == ["toy", "toy.yaml"]


def asked(address, answers, seconds):
    """Clients that have asked for so long."""
    ends_s = time.monotonic() + seconds
    clients = [Asker(address, answers, first, ends_s) for first in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return clients


def _settled(pid, before, patience_s=15.0):
    """Wait until connections are closed and idle workers are the same."""
    ends_s = time.monotonic() + patience_s
    while state_of(pid)[:2] > before[:2] and time.monotonic() < ends_s:
        time.sleep(0.2)
