"""Fixtures: `milp-planner serve` as a process of its own, with the toy catalog.

A plugin, named in `pytest_plugins` by the tests that want it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.shown.extras import needed
from tests.support.toy import CATALOG, ENVIRONMENT, PROBLEM

ENDS_WITHIN_S = 30.0


@dataclass(frozen=True)
class Serving:
    """A server that runs, and the folder in which it does."""

    process: subprocess.Popen[str]
    address: str
    folder: Path

    def interrupt(self) -> tuple[int, str]:
        """End it as Ctrl-C does; its exit code, and what it said last."""
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=ENDS_WITHIN_S)
        return self.process.returncode, said


def started(folder: Path, *arguments: str) -> Serving:
    """A server that answers; the folder gets the toy catalog and its problem."""
    needed("uvicorn", "web")
    (folder / "toy").mkdir()
    for name, content in CATALOG.items():
        (folder / "toy" / name).write_text(content)
    (folder / "toy.yaml").write_text(PROBLEM)
    command = [sys.executable, "-m", "milp_planner", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**ENVIRONMENT, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:"), process.communicate()
    return Serving(process, address, folder)


@pytest.fixture(scope="session")
def toy_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server of the toy problem, for all tests that leave it as it is."""
    serving = started(tmp_path_factory.mktemp("served"), "toy.yaml")
    yield serving
    assert serving.interrupt() == (130, "interrupted\n")
