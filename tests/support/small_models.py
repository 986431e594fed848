"""Small programs with their own plain arithmetic, and the MPS files of them that solvers read."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pulp

SENSES = {"G": pulp.LpConstraintGE, "L": pulp.LpConstraintLE, "E": pulp.LpConstraintEQ}


@dataclass
class Model:
    """Minimise Σ cost · x over 0 ≤ x ≤ upper, subject to rows of (sense, terms, right)."""

    costs: dict[str, float] = field(default_factory=dict)
    upper: dict[str, float] = field(default_factory=dict)
    rows: list[tuple[str, dict[str, float], float]] = field(default_factory=list)
    integers: set[str] = field(default_factory=set)

    def judge(self, values: Mapping[str, float]) -> float | None:
        """Cost of the rounded values, or None when they break a row or a bound."""
        x = {n: round(values[n]) if n in self.integers else values[n] for n in self.costs}
        if any(v < -1e-6 or v > self.upper.get(n, v) + 1e-6 for n, v in x.items()):
            return None
        for sense, terms, right in self.rows:
            left = sum(c * x[n] for n, c in terms.items())
            if (sense != "G" and left > right + 1e-6) or (sense != "L" and left < right - 1e-6):
                return None
        return sum(c * x[n] for n, c in self.costs.items())

    def brute_force(self) -> float | None:
        """Least cost over all whole numbers, or None when nothing keeps the rows."""
        ranges = [range(int(self.upper[n]) + 1) for n in self.costs]
        points = (dict(zip(self.costs, x, strict=True)) for x in itertools.product(*ranges))
        return min((c for c in map(self.judge, points) if c is not None), default=None)

    def write(self, path: Path) -> Path:
        """The MPS file, written by PuLP as the planner does."""
        lp = pulp.LpProblem("fleet", pulp.LpMinimize)
        x = {
            n: lp.add_variable(n, 0, self.upper.get(n), "Integer")
            if n in self.integers
            else lp.add_variable(n, 0, self.upper.get(n))
            for n in self.costs
        }
        lp.setObjective(pulp.LpAffineExpression([(x[n], c) for n, c in self.costs.items()]))
        for i, (sense, terms, right) in enumerate(self.rows):
            left = pulp.LpAffineExpression([(x[n], c) for n, c in terms.items()])
            name = f"r{i:06d}"
            lp.addConstraint(pulp.LpConstraint(left, SENSES[sense], name, right), name)
        lp.writeMPS(str(path))
        return path


def covering() -> Model:
    """Two big at $3 or small ones at $2 for 13 requests/s, 8 and 5 each.

    Whole units: one of each costs $5 (13 exactly); two big cost $6, three small $6.
    """
    names = ("x000000", "x000001")
    return Model(
        costs=dict(zip(names, (3.0, 2.0), strict=True)),
        rows=[("G", dict(zip(names, (8.0, 5.0), strict=True)), 13.0)],
        integers=set(names),
    )


def fractional() -> Model:
    """The same without whole units: 13 ÷ 8 big ones cost $4.875."""
    return Model(covering().costs, {}, covering().rows, set())


def infeasible() -> Model:
    """Three units of 2 never make the 7 asked for: the LP can, whole numbers cannot."""
    names = ("x000000", "x000001")
    return Model(
        costs=dict.fromkeys(names, 1.0),
        upper=dict.fromkeys(names, 5.0),
        rows=[("E", dict.fromkeys(names, 2.0), 7.0)],
        integers=set(names),
    )


def unbounded() -> Model:
    """A unit that pays for itself, without end."""
    return Model({"x000000": -1.0}, {}, [("G", {"x000000": 1.0}, 1.0)], {"x000000"})


def slow() -> Model:
    """Plans at once, a proof not within minutes: 300 offerings, 60 rows to cover."""
    return _random_cover(random.Random(5), columns=300, rows=60, most=1)


def hopeless() -> Model:
    """No plan and no proof within minutes: five equations in 40 binaries (market split)."""
    chance = random.Random(1)
    names = [f"x{i:06d}" for i in range(40)]
    weights = [{n: float(chance.randint(0, 99)) for n in names} for _ in range(5)]
    rows = [("E", row, float(sum(row.values()) // 2)) for row in weights]
    return Model(dict.fromkeys(names, 1.0), dict.fromkeys(names, 1.0), rows, set(names))


def many_ties() -> Model:
    """Any six of twelve equal units at $1: 924 plans for $6."""
    names = [f"x{i:06d}" for i in range(12)]
    ones = dict.fromkeys(names, 1.0)
    return Model(ones, ones, [("G", ones, 6.0)], set(names))


def random_model(seed: int) -> Model:
    """At most five columns of up to four units: covering rows, and a quota now and then."""
    chance = random.Random(seed)
    model = _random_cover(chance, columns=chance.randint(2, 5), rows=chance.randint(1, 3), most=4)
    if chance.random() < 0.6:
        terms = {n: float(chance.choice([1, 2, 4, 8])) for n in model.costs}
        model.rows.append(("L", terms, float(chance.randint(2, 14))))
    return model


def _random_cover(chance: random.Random, *, columns: int, rows: int, most: int) -> Model:
    names = [f"x{i:06d}" for i in range(columns)]
    model = Model(
        costs={n: float(chance.randint(20, 99)) for n in names},
        upper={n: float(chance.randint(1, most)) for n in names},
        integers=set(names),
    )
    for _ in range(rows):
        weights = {n: chance.uniform(0.05, 0.4) for n in names}
        asked = 0.3 * sum(weights.values()) if columns > 5 else 1.0
        model.rows.append(("G", {n: w / asked for n, w in weights.items()}, 1.0))
    return model


def read_model(path: Path) -> Model:
    """The model in a free MPS file, as far as the traps use the format."""
    model, section, integer = Model(), "", False
    rows: dict[str, tuple[str, dict[str, float]]] = {}
    right: dict[str, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if not words or line.startswith("*"):
            continue
        if not line.startswith(" "):
            section = words[0]
        elif "'MARKER'" in words:
            integer = words[-1] == "'INTORG'"
        elif section == "ROWS":
            rows[words[1]] = (words[0], {})
        elif section == "COLUMNS":
            model.costs.setdefault(words[0], 0.0)
            model.integers |= {words[0]} if integer else set()
            for row, value in _pairs(words[1:]):
                rows[row][1][words[0]] = float(value)
        elif section == "RHS":
            right.update((row, float(value)) for row, value in _pairs(words[1:]))
        elif section == "BOUNDS":
            _read_bound(model, words)
    for name, (sense, terms) in rows.items():
        if sense == "N":
            model.costs.update(terms)
        else:
            model.rows.append((sense, terms, right.get(name, 0.0)))
    return model


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    return zip(words[::2], words[1::2], strict=True)


def _read_bound(model: Model, words: list[str]) -> None:
    kind, column = words[0], words[2]
    if kind == "UP":
        model.upper[column] = float(words[3])
    elif kind == "BV":
        model.upper[column] = 1.0
        model.integers.add(column)
    else:
        raise ValueError(f"bound {kind} is not read here")
