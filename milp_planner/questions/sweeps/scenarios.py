"""Scenarios: named changes of a problem, one by one or as a grid of several kinds of change.

To add a kind of change, add a field to `Scenario`, its step in `Scenario.applied`, and its axis to
`scenario_grid`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from milp_planner.errors import (
    Fault,
    InputError,
    argument_error,
    input_error,
)
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.patching import check_patch, patched
from milp_planner.inputs.problem.policies import may_be_short
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.arguments import (
    check_kind,
    check_number,
    check_source,
    check_text,
    items_of,
)
from milp_planner.inputs.reading.records import Frozen
from milp_planner.inputs.reading.strict_yaml import Document, read_yaml
from milp_planner.inputs.reading.validation import validate
from milp_planner.lazily import dataclass, field, replace
from milp_planner.questions.sweeps.market import Price, denying, read_price, repriced_catalog
from milp_planner.solving.prepare import checked_problem
from milp_planner.solving.re_solve import scaled_traffic
from milp_planner.units import parse_number, parse_share

AS_IT_IS = "as it is"
"""Name of the scenario that changes nothing."""

MOST_SCENARIOS = 1_000

MOST_OF_AMOUNT = 1e12
"""Of a budget, a factor or a price."""


@dataclass(frozen=True)
class Scenario:
    """A named change of a problem; with nothing set it is the problem as it is."""

    name: str = AS_IT_IS
    patch: Mapping[str, Any] = field(default_factory=dict)
    """Value by dotted key of the problem, such as `limits.regions.allow`; None: the default."""

    budget_usd: float | None = None
    """Cash per month; what it does not pay for is left unserved, fairly unless said otherwise."""

    traffic: float | None = None
    """Factor on all traffic."""

    without: tuple[str, ...] = ()
    """What cannot be had: `provider:aws`, `gpu:h100-80gb-sxm`, `region:eu-*`, ..."""

    prices: Mapping[str, Price] = field(default_factory=dict)
    """USD per GPU and hour, or `80%` of today's price, by offering id or pattern."""

    target: float | None = None
    """Utilization to plan for; a ceiling below it is raised to it."""

    compares_per_token: bool = False
    """Ask also what a fleet alone, and per-token use alone, would cost."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """What was set, by axis, as a table shows it."""

    numbers: Mapping[str, float | None] = field(default_factory=dict)
    """The same as numbers, without the axes that hold words: `80%` is 0.8; None: as it is."""

    def applied(self, problem: Problem, catalog: Catalog) -> tuple[Problem, Catalog]:
        """The changed problem and catalog; raises InputError where the change does not fit."""
        self._check_types()
        changes = dict(self.patch)
        if self.budget_usd is not None:
            changes["limits.budget"] = _budget(problem, self.budget_usd)
            if not may_be_short(problem):  # a budget is no excuse for another limit
                changes.setdefault("policy.when_short", "fail")
        if self.target is not None:
            changes["policy.utilization"] = _utilization(problem, self.target)
        problem = patched(problem, changes) if changes else problem
        if self.traffic is not None:
            problem = scaled_traffic(problem, self.traffic)
        for lost in self.without:
            problem = denying(problem, catalog, lost)
        return problem, repriced_catalog(catalog, self.prices, problem.prices)

    def _check_types(self) -> None:
        for name in ("patch", "prices"):
            given = getattr(self, name)
            if not isinstance(given, Mapping):
                raise argument_error(f"expected keys, not {type(given).__name__}", path=name)
            for key in given:
                check_text(name, key)
        for lost in items_of("without", self.without, "names"):
            check_text("without", lost)
        for name in ("budget_usd", "traffic", "target"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), above=0.0, most=MOST_OF_AMOUNT)
        for pattern, price in self.prices.items():
            _price(pattern, price)


def _budget(problem: Problem, usd: float) -> dict[str, Any]:
    old = problem.limits.budget
    short = "fair" if old is None or old.when_short == "fail" else old.when_short
    return {"usd_per_month": usd, "when_short": short}


def _utilization(problem: Problem, target: float) -> dict[str, Any]:
    ceiling = problem.policy.utilization.ceiling
    highest = None if ceiling is None else max(ceiling, target)
    return {"by": "target", "target": target, "ceiling": highest}


# ---- grids


def scenario_grid(
    *,
    budgets: Iterable[float] = (),
    traffic: Iterable[float] = (),
    without: Iterable[str | Sequence[str]] = (),
    prices: Mapping[str, Iterable[Price]] | None = None,
    limits: Mapping[str, Iterable[Any]] | None = None,
    targets: Iterable[float] = (),
    named: Iterable[Scenario] = (),
) -> tuple[Scenario, ...]:
    """Every combination of the changes, one of each kind.

    budgets: USD per month. traffic: factors on all traffic. without: what cannot be had, such as
    `provider:aws`, or several of them. prices: by offering or pattern, USD per GPU and hour or a
    share of today's such as `80%`. limits: values by dotted key, as in `Problem.changed`. targets:
    utilizations, 0 to 1. named: scenarios of your own. Kinds that compare with today (without,
    prices, limits, targets, named) begin with the problem as it is.

    Returns Scenario records, for `what_if`.

    Raises InputError for more than 1,000 of them and for values out of range, ArgumentError for
    values of another type.

    >>> from milp_planner import scenario_grid
    >>> grid = scenario_grid(traffic=[1, 2], without=["provider:aws"])
    >>> [scenario.name for scenario in grid][:2]
    ['traffic 1x', 'traffic 1x, without provider:aws']
    """
    budgets = _amounts("budgets", budgets)
    traffic = _amounts("traffic", traffic)
    targets = _amounts("targets", targets, most=1.0)
    changes = items_of("named", named, "scenarios", one=(str, Scenario))
    for scenario in changes:
        check_kind(scenario, Scenario, "load_scenarios()")
    axes = [
        [_part("budget", f"{b:,.10g}", b, budget_usd=b) for b in budgets],
        [_part("traffic", f"{f:g}x", f, traffic=f, compares_per_token=True) for f in traffic],
        _from_today(
            _part("without", ", ".join(names), None, without=names)
            for names in map(_lost_together, items_of("without", without, "names"))
        ),
        *(
            _from_today(
                _part(f"price {p}", str(v), n, prices={p: _price(p, v)})
                for v, n in zip(values, _numbers(values), strict=True)
            )
            for p, values in _lists_by_name("prices", prices)
        ),
        *(
            _from_today(
                _part(key, _shown(v), n, patch={f"limits.{key}": v})
                for v, n in zip(values, _numbers(values), strict=True)
            )
            for key, values in _lists_by_name("limits", limits)
        ),
        _from_today(_part("target", f"{100 * t:.4g} %", t, target=t) for t in targets),
        _from_today(replace(s, settings={"scenario": s.name}) for s in changes),
    ]
    used = [axis for axis in axes if axis]
    count = reduce(lambda n, axis: n * len(axis), used, 1)
    if count > MOST_SCENARIOS:
        raise input_error(f"{count:,} scenarios are asked for, more than {MOST_SCENARIOS:,}")
    return tuple(reduce(_both, parts) for parts in itertools.product(*used)) if used else ()


def _amounts(name: str, values: Any, most: float = MOST_OF_AMOUNT) -> list[float]:
    """Numbers above 0, as a caller gives them."""
    amounts = items_of(name, values, "numbers")
    for i, amount in enumerate(amounts):
        check_number(f"{name}[{i}]", amount, above=0.0, most=most)
    return [float(amount) for amount in amounts]


def _lost_together(entry: Any) -> tuple[str, ...]:
    names = (entry,) if isinstance(entry, str) else tuple(items_of("without", entry, "names"))
    for name in names:
        check_text("without", name)
    if not names:
        raise input_error("an entry names nothing", path="without")
    return names


def _lists_by_name(name: str, values: Any) -> list[tuple[str, list[Any]]]:
    """The values of a mapping of lists, its keys as text."""
    if values is None:
        return []
    if not isinstance(values, Mapping):
        raise argument_error(f"expected lists by name, not {type(values).__name__}", path=name)
    for key in values:
        check_text(name, key)
    return [(key, items_of(f"{name}[{key!r}]", found, "values")) for key, found in values.items()]


def _price(pattern: str, price: Any) -> Price:
    path = f"prices[{pattern!r}]"
    if not isinstance(price, str):
        check_number(path, price, above=0.0, most=MOST_OF_AMOUNT)
        return float(price)
    try:
        return read_price(price)
    except ValueError as error:
        raise input_error(str(error), path=path) from None


def _numbers(values: Sequence[Any]) -> list[float | None]:
    """The values of an axis as numbers; None for each where one of them is none."""
    found = [None if value is None else _number_of(value) for value in values]
    words = any(n is None for v, n in zip(values, found, strict=True) if v is not None)
    return [None for _ in values] if words else found


def _number_of(value: Any) -> float | None:
    """8, `20k` and `80%` as numbers; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value) if not isinstance(value, str) else _read_number(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _read_number(text: str) -> float:
    return parse_share(text) if text.endswith("%") else parse_number(text)


def _part(axis: str, shown: str, number: float | None, **changes: Any) -> Scenario:
    numbers = {} if number is None else {axis: number}
    return Scenario(f"{axis} {shown}", settings={axis: shown}, numbers=numbers, **changes)


def _from_today(parts: Iterable[Scenario]) -> list[Scenario]:
    """The parts of an axis, led by the one that changes nothing."""
    found = list(parts)
    if not found:
        return []
    (axis,) = found[0].settings
    if any(part.numbers for part in found):  # a limit taken away is no number, either
        found = [replace(part, numbers={axis: part.numbers.get(axis)}) for part in found]
    return [Scenario(settings={axis: AS_IT_IS}, numbers=dict.fromkeys(found[0].numbers)), *found]


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _both(one: Scenario, other: Scenario) -> Scenario:
    names = [s.name for s in (one, other) if s.name != AS_IT_IS]
    return Scenario(
        name=", ".join(names) or AS_IT_IS,
        patch={**one.patch, **other.patch},
        budget_usd=other.budget_usd if one.budget_usd is None else one.budget_usd,
        traffic=_product(one.traffic, other.traffic),
        without=(*one.without, *other.without),
        prices={**one.prices, **other.prices},
        target=other.target if one.target is None else one.target,
        compares_per_token=one.compares_per_token or other.compares_per_token,
        settings={**one.settings, **other.settings},
        numbers={**one.numbers, **other.numbers},
    )


def _product(one: float | None, other: float | None) -> float | None:
    return one if other is None else other if one is None else one * other


# ---- files


class ScenarioFile(Frozen):
    """Named patches: dotted keys of the problem, and `traffic`, `without`, `prices`, `budget`."""

    schema_version: Literal[1]
    scenarios: dict[str, dict[str, Any]]


OWN_KEYS = ("traffic", "without", "prices", "budget")


def load_scenarios(
    source: str | Path,
    problem: Problem,
    *,
    text: str | None = None,
    catalog: Catalog | None = None,
) -> tuple[Scenario, ...]:
    """The scenarios of a YAML file, each checked against `problem`.

    source: a file name; with `text` nothing is read, and it only names the text. catalog: what
    names are checked against; default: none, so that a name that is not known shows when the
    scenario is solved. As in a problem file, a time needs its unit.

    Returns Scenario records in the order of the file, for `what_if`.

    Raises InputError with every fault of all of them, with file, line and column; ArgumentError
    where `source` is no file name.

    >>> from milp_planner import load_problem, load_scenarios
    >>> problem = load_problem("problems/quickstart.yaml")
    >>> text = "{schema_version: 1, scenarios: {busy: {traffic: 2}, few: {limits.max_units: {}}}}"
    >>> [scenario.name for scenario in load_scenarios("mine.yaml", problem, text=text)]
    ['busy', 'few']
    """
    check_source("load_scenarios", source, text)
    check_kind(problem, Problem, "load_problem()")
    document = read_yaml(source, text=text, first_key="scenarios", hint="")
    file = validate(ScenarioFile, document)
    found: list[Scenario] = []
    faults: list[Fault] = []
    for name, keys in file.scenarios.items():
        at = ("scenarios", name)
        patch = {key: value for key, value in keys.items() if key not in OWN_KEYS}
        for check in (
            lambda patch=patch, at=at: check_patch(problem, patch, document, at),
            lambda name=name, keys=keys: found.append(scenario_of(name, keys)),
        ):
            faults += [
                fault if fault.line else document.fault((*at, fault.path), fault.message)
                for fault in _faults_of(check)
            ]
    if catalog is not None and not faults:
        known = checked_problem(problem, catalog)
        for scenario in found:
            faults += _unknown_names(scenario, known, catalog, document)
    if faults:
        raise InputError(dict.fromkeys(faults))
    return tuple(found)


def _unknown_names(
    scenario: Scenario, problem: Problem, catalog: Catalog, document: Document
) -> Iterator[Fault]:
    """Faults of the names in a scenario, each at the key that has it."""
    at = ("scenarios", scenario.name)
    if scenario.patch:
        part = Scenario(patch=scenario.patch)
        for fault in _faults_of(lambda: checked_problem(*part.applied(problem, catalog))):
            key = max((k for k in scenario.patch if fault.path.startswith(k)), key=len, default="")
            said = fault.message if fault.path == key else f"{fault.path}: {fault.message}"
            yield document.fault((*at, key) if key else at, said, fault.hint)
    lost, prices = Scenario(without=scenario.without), Scenario(prices=scenario.prices)
    for fault in _faults_of(lambda: lost.applied(problem, catalog)):
        yield document.fault((*at, "without"), fault.message, fault.hint)
    for fault in _faults_of(lambda: prices.applied(problem, catalog)):
        yield document.fault((*at, "prices"), fault.message, fault.hint)


def _faults_of(check: Callable[[], object]) -> tuple[Fault, ...]:
    try:
        check()
    except InputError as error:
        return error.faults
    return ()


def scenario_of(name: str, keys: Mapping[str, Any]) -> Scenario:
    """A scenario from dotted keys and values; raises InputError for values that do not fit."""
    own = {key: keys[key] for key in OWN_KEYS if key in keys}
    try:
        return Scenario(
            name=name,
            patch={key: value for key, value in keys.items() if key not in OWN_KEYS},
            budget_usd=_number("budget", own),
            traffic=_number("traffic", own),
            without=_names(own.get("without", ())),
            prices=_prices(own.get("prices", {})),
        )
    except _WrongKey as error:
        raise InputError([Fault("", 0, 0, error.key, str(error))]) from None


class _WrongKey(ValueError):
    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def _number(key: str, own: Mapping[str, Any]) -> float | None:
    value = own.get(key)
    if value is None:
        return None
    try:
        number = parse_number(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        raise _WrongKey(key, f"expected a number, found {value!r}") from None
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise _WrongKey(key, f"must be greater than 0 (is {value})")
    return number


def _names(value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        raise _WrongKey("without", f"expected a list of names, found {value!r}")
    return tuple(names)


def _prices(value: Any) -> dict[str, Price]:
    if not isinstance(value, Mapping):
        raise _WrongKey("prices", "expected keys: a price by offering or pattern")
    try:
        return {str(pattern): read_price(str(price)) for pattern, price in value.items()}
    except ValueError as error:
        raise _WrongKey("prices", str(error)) from None
