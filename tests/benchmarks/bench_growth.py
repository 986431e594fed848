"""How processor time grows with workloads, blocks, classes and offerings, each by itself.

    python tests/benchmarks/bench_growth.py [PICTURE.png]

CPU seconds of reading the catalog (the last of the four), of listing with pruning, and of the
proven plan without next-best plans, this process and its solvers together; with the slope between
the first and the last size, which is 1 where time grows with the size and 2 where with its square.
With the extra [plot], a picture with logarithmic axes.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import bench_memory
from bench_scale import sized
from cpu_time import timed

from milp_planner import Catalog, Problem, load_catalog, prepare, solve
from milp_planner.milp.presolve.dominance import prune

LIMIT_S = 60.0

SIZES = {
    "workloads": {count: f"{count}-8-1-base" for count in (1, 3, 10, 30, 100)},
    "blocks": {count: f"3-{count}-1-base" for count in (1, 2, 4, 8, 24)},
    "classes": {count: f"1-4-{count}-base" for count in (1, 2, 4, 8, 16)},
}
"""By what grows: the problem of each size, as `bench_scale.py` names it."""

OFFERINGS = (6_000, 20_000, 60_000, 200_000)


class Point(NamedTuple):
    """CPU seconds of one size."""

    size: int
    read_s: float
    listed_s: float
    solved_s: float
    status: str


def of_problem(size: int, problem: Problem, catalog: Catalog, read_s: float = math.nan) -> Point:
    """What a problem takes."""

    def listed() -> None:
        given = prepare(problem, catalog)
        prune(given, given.candidates.candidates)

    seen = timed(listed)
    plan = timed(lambda: solve(problem, catalog, alternatives=0, time_limit_s=LIMIT_S))
    return Point(size, read_s, seen.cpu_s, plan.cpu_s, plan.result.status.value)


def of_catalogs() -> Iterator[Point]:
    """One workload over larger and larger catalogs."""
    problem = sized("1-1-1-base", load_catalog())
    for count in OFFERINGS:
        with tempfile.TemporaryDirectory() as folder:
            bench_memory.lay_catalog(Path(folder) / "large", count)
            read = timed(lambda folder=folder: load_catalog(Path(folder) / "large"))
        yield of_problem(count, problem, read.result, read.cpu_s)


def slope(points: list[Point], name: str) -> float:
    """Of the line through the first and the last size, in logarithms."""
    first, last = points[0], points[-1]
    grown = getattr(last, name) / getattr(first, name)
    return math.log(grown) / math.log(last.size / first.size)


def show(what: str, points: list[Point]) -> None:
    """The table of one kind of growth."""
    print(f"{what:>10s} {'read':>8s} {'listed':>8s} {'solved':>8s}  status, CPU s")
    for p in points:
        read = "" if math.isnan(p.read_s) else f"{p.read_s:.2f}"
        print(f"{p.size:10,d} {read:>8s} {p.listed_s:8.2f} {p.solved_s:8.2f}  {p.status}")
    slopes = [slope(points, name) for name in ("read_s", "listed_s", "solved_s")]
    said = ["" if math.isnan(s) else f"{s:.2f}" for s in slopes]
    print(f"{'slope':>10s} {said[0]:>8s} {said[1]:>8s} {said[2]:>8s}", flush=True)


def draw(found: dict[str, list[Point]], picture: str) -> None:
    """Four panels with logarithmic axes, and a line of slope 1 in each."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(found), figsize=(14, 4), layout="constrained")
    for panel, (what, points) in zip(panels, found.items(), strict=True):
        sizes = [p.size for p in points]
        for name, label in (("read_s", "read"), ("listed_s", "listed"), ("solved_s", "solved")):
            seconds = [getattr(p, name) for p in points]
            if not math.isnan(seconds[0]):
                panel.plot(sizes, seconds, marker="o", label=label)
        low = min(min(p.listed_s, p.solved_s) for p in points) / 2
        straight = [low * size / sizes[0] for size in sizes]
        panel.plot(sizes, straight, linestyle=":", color="grey", label="slope 1")
        panel.set(xscale="log", yscale="log", xlabel=what, ylabel="CPU s")
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.minorticks_off()
        panel.legend()
    figure.savefig(picture, dpi=80)


def main() -> None:
    """Measure, print, and draw where a picture is named."""
    catalog = load_catalog()
    solve(sized("1-1-1-base", catalog), catalog, alternatives=0)  # imports
    found: dict[str, list[Point]] = {}
    for what, names in SIZES.items():
        found[what] = [of_problem(n, sized(name, catalog), catalog) for n, name in names.items()]
        show(what, found[what])
    found["offerings"] = [*of_catalogs()]
    show("offerings", found["offerings"])
    if sys.argv[1:]:
        draw(found, sys.argv[1])


if __name__ == "__main__":
    main()
