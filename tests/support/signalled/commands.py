"""Every command that takes long, on problems so small that it takes a fraction of a second.

To add a command, name its line in `COMMANDS`; what it writes must be called `new`.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from milp_planner import load_catalog, load_problem
from milp_planner.cli.parts import exit_codes
from tests.support.price_server import price_server
from tests.support.toy import CATALOG, PROBLEM, ROOT

CODES = {
    signal.SIGINT: exit_codes.INTERRUPTED,
    signal.SIGTERM: exit_codes.TERMINATED,
}
MARKET = ROOT / "catalogs" / "market"
COMMANDS = {
    "solve": "solve {inputs}/toy.yaml --format json",
    "market": "solve {asked} --format json",
    "alone": "solve {inputs}/toy.yaml --solver highs --format json",
    "alternatives": "solve {inputs}/toy.yaml --alternatives 30 --format json",
    "range": "solve {inputs}/toy.yaml --range --format json",
    "infeasible": "solve {inputs}/tight.yaml --format json",
    "sheet": "solve {inputs}/toy.yaml --format sheet-json",
    "text": "solve {inputs}/toy.yaml",
    "kept": "solve {inputs}/kept.yaml --replay --format json",
    "plan": "plan --llm llama-3.1-8b --tokens-per-day 5M --no-choices --save new.yaml",
    "report": "report {inputs}/toy.yaml -o new.html",
    "what-if": "what-if {inputs}/toy.yaml --traffic 1,2,3,4 --jobs 2 --json",
    "frontier": "what-if {inputs}/toy.yaml --budget 3000:9000 --json",
    "why-not": "explain {inputs}/toy.yaml --gpu small --json",
    "limits": "explain {inputs}/capped.yaml --limits --json",
    "evaluate": "evaluate {inputs}/toy.yaml --fleet acme/big/eu-1=2 --overlay {inputs}/own --json",
    "candidates": "candidates {inputs}/toy.yaml --all --json",
    "check": "check {inputs}/toy.yaml --json",
    "traffic": "traffic {inputs}/toy.yaml --floor --json",
    "estimate": "estimate --llm llama-3.3-70b,llama-3.1-8b --gpu h100-80gb-sxm,l4-24gb "
    "--input 1500 --output 300 --json",
    "replay": "replay {inputs}/toy.yaml --requests 20000 --json",
    "tighten": "replay {inputs}/kept.yaml --requests 2000 --tighten --json",
    "calibrate": "calibrate {inputs}/own.csv --out new --json",
    "import": "catalog import gpuhunt {inputs}/acme.csv --base {inputs}/toy --out new",
    "refresh": "catalog refresh --source litellm --litellm-url {url}/p.json --out new --json",
    "rows": "catalog check {market} --json",
    "changes": "catalog diff inference-atlas market --json",
}
"""Every command that takes long; `init`, `schema`, `diff` and `catalog list` end at once."""

WORDS = (b"Optimal plan", b"Best plan found", b"new")
"""What answers in words begin with; all others are JSON."""


def arguments(command: str, inputs: Path, url: str) -> list[str]:
    """The words of a command line, with what `lay` laid into `inputs` and a price list at `url`."""
    given = {
        "inputs": inputs,
        "asked": ROOT / "problems" / "quickstart.yaml",
        "market": MARKET,
        "url": url,
    }
    return [word.format(**given) for word in COMMANDS[command].split()]


def lay(inputs: Path) -> None:
    """The toy problem, under a budget that pays for nothing, which is diagnosed, under limits that
    can be priced, and with a wish that a replay judges; an overlay, and own measurements; a price
    list of two thousand rows."""
    problems = {
        "toy": PROBLEM,
        "tight": PROBLEM + "limits: {budget: {usd_per_month: 50}}\n",
        "capped": PROBLEM + "limits: {max_gpus: {total: 2}, gpus: {max_count: 2}}\n",
        "kept": PROBLEM.replace("policy:", "    latency: {wait: {p99: 2s}}\npolicy:"),
    }
    for name, text in problems.items():
        (inputs / f"{name}.yaml").write_text(text)
    (inputs / "toy").mkdir()
    for name, text in CATALOG.items():
        (inputs / "toy" / name).write_text(text)
    header = "instance_name,location,price,gpu_count,gpu_name,gpu_memory,spot\n"
    rows = (f"l4-{i},eu-{i % 50},0.8,1,L4,24,False\n" for i in range(2_000))
    (inputs / "acme.csv").write_text(header + "".join(rows))
    (inputs / "own").mkdir()
    (inputs / "own" / "offerings.csv").write_text(
        "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,source\n"
        "acme,box,eu-1,dedicated,big,1,3,2026-08-01,test\n"
    )
    (inputs / "own.csv").write_text(
        "llm,gpu,precision,tensor_parallel,input_tokens,output_tokens,concurrency,"
        "output_tokens_per_second\n"
        + "".join(f"llama-3.1-8b,l4-24gb,bf16,1,{800 + i},200,16,150\n" for i in range(50))
    )


@contextmanager
def price_list() -> Iterator[str]:
    """The address of a server on the loopback with a price list of a hundred APIs."""
    one = {
        "litellm_provider": "deepinfra",
        "mode": "chat",
        "input_cost_per_token": 3e-7,
        "output_cost_per_token": 4e-7,
    }
    prices = {f"deepinfra/llama-3.{i}-70b": one for i in range(100)}
    with price_server() as server:
        server.answers["/p.json"] = json.dumps(prices).encode()
        yield server.url


def look_at(folder: Path, moment: str) -> None:
    """Everything that a command made in the folder in which it ran is whole."""
    made = {path.name for path in folder.iterdir()}
    assert made <= {"new", "new.yaml", "new.html"}, (made, moment)
    if "new" in made:
        load_catalog(folder / "new")
    if "new.yaml" in made:
        load_problem(folder / "new.yaml")
    if "new.html" in made:
        assert (folder / "new.html").read_text().rstrip().endswith("</html>"), moment


def read(printed: bytes, moment: str) -> None:
    """What a command printed is a whole document, or nothing."""
    if printed and not printed.startswith(WORDS):
        assert isinstance(json.loads(printed), dict | list), moment
