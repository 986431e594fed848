"""Peak memory of a problem over 20,000 offerings, or as many as are asked for, 200,000 at most.

    python tests/benchmarks/bench_memory.py [--offerings 200000]

The offerings are those of the market under other providers' names, within 3 % of their prices.
Peaks are those of the operating system (ru_maxrss), each in a fresh process; needs Linux.

Measured with Python 3.11 on a machine of two cores: 120 MiB for one workload (3,909 candidates),
201 MiB for five (29,856 candidates), of which 57 MiB are imports and 62 MiB the catalog; CBC, in a
process of its own, takes 10 MiB more.
"""

from __future__ import annotations

import csv
import random
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARKET = ROOT / "catalogs" / "market" / "offerings.csv"
OFFERINGS = 20_000
MIB = 1024  # ru_maxrss is in KiB on Linux

PROBLEM = """\
schema_version: 1
catalog: large
workloads:
"""
WORKLOAD = """\
  - name: w{i}
    llm: {llm}
    traffic: {{kind: tokens_per_day, tokens_per_day: {millions}M, pattern: bursty}}
    requests: {{input_tokens: 1500, output_tokens: 300}}
"""
LLMS = ("llama-3.3-70b", "llama-3.1-8b", "qwen3-32b", "gpt-oss-120b", "mixtral-8x7b")


def main() -> None:
    """Measure problems of one and of five workloads, each in a process of its own."""
    offerings = int(sys.argv[2]) if sys.argv[1:2] == ["--offerings"] else OFFERINGS
    with tempfile.TemporaryDirectory() as folder:
        lay_catalog(Path(folder) / "large", offerings)
        for count in (1, 5):
            problem = Path(folder) / f"{count}.yaml"
            problem.write_text(PROBLEM + "".join(workload(i) for i in range(count)))
            started_s = time.perf_counter()
            done = subprocess.run(
                [sys.executable, __file__, str(problem)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            seconds = time.perf_counter() - started_s
            print(f"{count} workload(s), {offerings:,} offerings, {seconds:.0f} s in all")
            print(done.stdout, end="")


def lay_catalog(folder: Path, offerings: int) -> None:
    """A folder that extends the market to so many offerings."""
    rng = random.Random(3)
    with MARKET.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    priced = [row for row in rows if row["usd_per_hour"]]
    folder.mkdir()
    with (folder / "offerings.csv").open("w", newline="", encoding="utf-8") as stream:
        columns = dict.fromkeys([*rows[0], "price_acknowledged"])
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        for i in range(offerings - len(priced)):
            row = priced[i % len(priced)]
            price = float(row["usd_per_hour"]) * rng.uniform(0.97, 1.03)
            provider = f"more{i // len(priced)}-{row['provider']}"
            changed = {"provider": provider, "usd_per_hour": f"{price:.4f}"}
            writer.writerow({**row, **changed, "price_acknowledged": "true"})


def workload(i: int) -> str:
    """One workload of the problem."""
    return WORKLOAD.format(i=i, llm=LLMS[i % len(LLMS)], millions=200 * (i + 1))


def measure(file: str) -> None:
    """Print the peak after each step of planning `file`."""
    from milp_planner.inputs.problem.load import load_catalog_of, load_problem
    from milp_planner.questions.solve import solve
    from milp_planner.solving.prepare import prepare

    solvers = SolverProcesses()
    solvers.start()
    report("imported")
    problem = load_problem(file)
    catalog = load_catalog_of(problem)
    report(f"catalog read ({len(catalog.offerings):,} offerings)")
    given = prepare(problem, catalog)
    report(f"prepared ({len(given.candidates.candidates):,} candidates)")
    plan = solve(problem, catalog)
    report(f"planned ({plan.status.value}, {len(plan.alternatives)} alternatives)")
    print(f"  {'largest solver process, beside it':48} {solvers.peak_kib / MIB:6.0f} MiB")


class SolverProcesses(threading.Thread):
    """Watches the largest child process; its ru_maxrss would count the parent that it forked."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_kib = 0

    def run(self) -> None:
        """Look every 5 ms."""
        while True:
            for children in Path("/proc/self/task").glob("*/children"):
                for child in read(children).split():
                    status = read(Path(f"/proc/{child}/status"))
                    if status.startswith("Name:\tpython"):
                        continue  # has not become the solver yet, and shares its parent's pages
                    peak = re.search(r"VmHWM:\s+(\d+)", status)
                    self.peak_kib = max(self.peak_kib, int(peak[1]) if peak else 0)
            time.sleep(0.005)


def read(path: Path) -> str:
    """The file's text; nothing when the process is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""


def report(what: str) -> None:
    """The peak so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"  {what:48} {peak / MIB:6.0f} MiB")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.path.insert(0, str(ROOT))
        measure(sys.argv[1])
    else:
        main()
