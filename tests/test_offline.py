"""No command and no module opens a connection."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.toy import ENVIRONMENT, ROOT

pytest_plugins = ["tests.support.toy_cli"]

PACKAGE = ROOT / "milp_planner"
NETWORK = {
    *("aiohttp", "asyncio", "ftplib", "http", "httpx", "imaplib", "poplib", "requests", "smtplib"),
    *("socket", "socketserver", "ssl", "telnetlib", "urllib", "urllib3", "webbrowser", "xmlrpc"),
}
HARMLESS = {"urllib.parse"}
DOWNLOADS = PACKAGE / "inputs" / "imports" / "refresh" / "download.py"
"""The one module that may open a connection, for `catalog refresh`."""

FOR_DOWNLOADS = {"http.client", "urllib.error", "urllib.request"}
SERVES = (PACKAGE / "web", PACKAGE / "cli" / "commands" / "serve.py")
"""What answers on an address of this machine, for `serve`."""

FOR_SERVING = {"asyncio", "socket"}
UNPACKS = PACKAGE / "executors" / "parcels.py"
"""The one module that unpickles: on a worker, what the caller that started the sweep packed."""

REFRESH = "milp_planner.inputs.imports.refresh"

REFUSING = """
import sys

def refuse(event, arguments):
    if event.split(".")[0] in {"socket", "urllib", "http", "ftplib", "smtplib", "webbrowser"}:
        raise SystemExit(f"{event} was tried")

sys.addaudithook(refuse)
from milp_planner.cli import main
quickstart = sys.argv[1]
commands = [
    ["check", "toy.yaml"], ["candidates", "toy.yaml"], ["solve", "toy.yaml"],
    ["solve", quickstart, "--json"], ["catalog", "list"], ["catalog", "check", "market"],
    ["init", "new.yaml"], ["schema"], ["--help"],
]
print([main(command) for command in commands], file=sys.stderr)
"""


def test_every_command_works_with_sockets_refused_and_loads_nothing_that_could_connect(folder):
    quickstart = str(ROOT / "problems" / "quickstart.yaml")
    loaded = f"print([n for n in sys.modules if n.startswith({REFRESH!r})], file=sys.stderr)\n"
    done = subprocess.run(
        [sys.executable, "-c", REFUSING + loaded, quickstart],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("[0, 0, 0, 0, 0, 0, 0, 0, 0]\n[]\n")


def test_the_refusal_above_does_refuse(folder):
    script = REFUSING.partition("from milp_planner")[0] + "import socket\nsocket.socket()\n"
    done = subprocess.run(
        [sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == "socket.__new__ was tried\n"


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_no_module_imports_what_could_connect(path):
    harmless = HARMLESS | (FOR_DOWNLOADS if path == DOWNLOADS else set())
    harmless |= FOR_SERVING if any(map(path.is_relative_to, SERVES)) else set()
    names = {name for name in imported(path) if name not in harmless}
    assert not {name for name in names if name.split(".")[0] in NETWORK}


@pytest.mark.slow
def test_only_one_command_reaches_what_can_connect():
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if path.parent != DOWNLOADS.parent
        and any(name.startswith(REFRESH) for name in imported(path))
    }
    assert users == {"cli/commands/catalogs/refresh.py"}


def test_a_refresh_does_try_and_leaves_nothing_where_it_may_not(folder):
    script = REFUSING.partition("quickstart =")[0]
    script += "main(['catalog', 'refresh', '--out', 'new', '--source', 'litellm'])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.endswith(" was tried\n")
    assert not [path.name for path in folder.iterdir() if "new" in path.name]


@pytest.mark.slow
def test_no_module_runs_code_from_data():
    forbidden = {"eval", "exec", "compile", "__import__"}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in forbidden, f"{path.name}:{node.lineno}"
            if isinstance(node, ast.Import):
                modules = {alias.name for alias in node.names}
                unpacks = modules & {"pickle", "marshal", "shelve"}
                assert not unpacks or path == UNPACKS, path.name
