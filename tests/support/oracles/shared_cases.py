"""Random small questions of shared units, each under limits of one kind, and their problems."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from milp_planner import Catalog, Problem
from tests.support.builders import catalog, offering, problem, raw, workload
from tests.support.oracles.shared_fleets import Question, Sold

MOST_UNITS = {"max_units": {"*": 3}}
"""What makes the fleets that the oracle tries all that there are."""


def question(seed: int, kinds: Iterable[str] = ()) -> Question:
    """One or two workloads, two offerings, and limits of these kinds: keys of `KINDS`."""
    r = random.Random(seed)
    kinds = tuple(kinds)
    gpus = ["small", "big"][: r.choice([1, 2])]
    sold = [
        _sold(r, "first", "acme", gpus, kinds),
        _sold(r, "second", r.choice(["acme", "bolt"]), gpus, kinds),
    ]
    if "power" in kinds:
        sold = [_with_own_power(r, one) for one in sold]
    names = ["chat", "code"][: r.choice([1, 2])]
    rates = {
        (name, gpu, size): float(r.choice([1, 2, 3, 4, 5]))
        for name in names
        for gpu in gpus
        for size in (1, 2)
        if r.random() < 0.8
    }
    for name in names:
        rates.setdefault((name, gpus[0], 1), 2.0)
    fields: dict[str, Any] = {"limits": {}}
    for kind in kinds:
        KINDS[kind](r, fields)
    fields["limits"] = {**fields["limits"], **MOST_UNITS}
    loads = {name: float(r.choice([1, 2, 3, 4])) for name in names}
    return Question(tuple(sold), loads, rates, **fields)


def _sold(
    r: random.Random, name: str, provider: str, gpus: list[str], kinds: tuple[str, ...]
) -> Sold:
    return Sold(
        name,
        provider,
        r.choice(gpus),
        r.choice([2, 3] if "changes" in kinds else [1, 2, 3]),
        float(r.choice([1, 2, 3, 4, 5])),
        r.choice(["dedicated", "spot"]) if {"spot", "on_demand"} & {*kinds} else "dedicated",
        r.choice([None, 1, 2]) if "stock" in kinds else None,
    )


def _with_own_power(r: random.Random, one: Sold) -> Sold:
    """The same, owned and on power of one's own half of the time."""
    kilowatts = r.choice([0.0, 1.0, 2.0, 3.0])
    return replace(one, billing="owned", kilowatts=kilowatts) if kilowatts else one


def _limits(**values: Callable[[random.Random], Any]) -> Callable[[random.Random, Any], None]:
    def add(r: random.Random, fields: dict[str, Any]) -> None:
        fields["limits"] |= {name: draw(r) for name, draw in values.items()}

    return add


def _fields(**values: Callable[[random.Random], Any]) -> Callable[[random.Random, Any], None]:
    def add(r: random.Random, fields: dict[str, Any]) -> None:
        fields |= {name: draw(r) for name, draw in values.items()}

    return add


SOFT = {"target": lambda r: 0.75, "ceiling": lambda r: 1.0}

TODAY = _fields(
    today=lambda r: (r.choice([0, 1, 2]), r.choice([0, 1])),
    per_added=lambda r: float(r.choice([0, 300, 2000])),
    per_removed=lambda r: float(r.choice([0, 300, 2500])),
    most_changed=lambda r: r.choice([None, None, 1, 2]),
)

KINDS: dict[str, Callable[[random.Random, Any], None]] = {
    "stock": lambda r, fields: None,
    "quota": _limits(
        max_gpus=lambda r: r.choice(
            [{"total": r.choice([2, 4, 6])}, {"per_provider": {"acme": r.choice([1, 2, 4])}}]
        )
    ),
    "survival": _limits(
        survive_loss_of=lambda r: r.choice(
            ["provider", "offering", {"kind": "provider", "share": 0.5}]
        )
    ),
    "count": _limits(providers=lambda r: {"max_count": 1}),
    "share": _limits(providers=lambda r: {"max_share": r.choice([0.5, 0.6, 0.75])}),
    "spot": _limits(
        max_spot_share=lambda r: r.choice([0.3, 0.5]),
        billing=lambda r: {"allow": ["dedicated", "spot"]},
    ),
    "replicas": _fields(min_replicas=lambda r: r.choice([2, 3])),
    "on_demand": _limits(
        min_on_demand_replicas=lambda r: r.choice([1, 2]),
        billing=lambda r: {"allow": ["dedicated", "spot"]},
    ),
    "changes": TODAY,
    "commitments": _fields(committed=lambda r: (r.choice([0, 1, 2]), r.choice([0, 1]))),
    "volume": _fields(
        volume=lambda r: (float(r.choice([0, 500, 2000, 4000])), r.choice([0.2, 0.6]))
    ),
    "power": _limits(max_power_kw=lambda r: float(r.choice([1, 2, 3, 5]))),
    "target": _fields(target=lambda r: 0.75),
    "scaling": _fields(scaling=lambda r: (r.choice([1, 2]), float(r.choice([500, 2000])))),
    "strict": _fields(**SOFT, strict_usd=lambda r: float(r.choice([300, 1500]))),
    "overload": _fields(
        **SOFT, overload=lambda r: (r.choice([0.5, 0.75]), float(r.choice([2000, 9000])))
    ),
}
"""What a question is under, by name."""


def as_problem(asked: Question, **fields: Any) -> Problem:
    """The question as a problem on shared units."""
    penalties: dict[str, Any] = {}
    if asked.scaling is not None:
        free, usd = asked.scaling
        penalties["scaling"] = {"above_gpus": free, "usd_per_gpu": usd}
    if asked.strict_usd:
        penalties["strict_latency"] = {"usd": asked.strict_usd}
    if asked.overload is not None:
        above, usd = asked.overload
        penalties["overload"] = {"above": above, "usd_at_full_load": usd}
    if any(asked.today):
        fields["current_fleet"] = [
            {"offering": f"{one.provider}/{one.name}/eu-1", "workload": "chat", "units": units}
            for one, units in zip(asked.sold, asked.today, strict=True)
            if units
        ]
    fields["switching"] = {
        "usd_per_unit_added": asked.per_added,
        "usd_per_unit_removed": asked.per_removed,
        **({} if asked.most_changed is None else {"max_units_changed": asked.most_changed}),
    }
    paid = [
        {"offering": f"{one.provider}/{one.name}/eu-1", "units": units}
        for one, units in zip(asked.sold, asked.committed, strict=False)
        if units
    ]
    if paid:
        fields["commitments"] = paid
    if asked.volume is not None:
        above, discount = asked.volume
        fields["prices"] = {"volume": {"acme/*": [{"above": above, "discount": discount}]}}
    strict = {"latency": {"requirement": "200ms"}} if asked.strict_usd else {}
    return problem(
        workloads=[
            workload(load, name=name, llm=name, min_replicas=asked.min_replicas, **strict)
            for name, load in asked.loads.items()
        ],
        policy={
            "utilization": {"target": asked.target, "ceiling": asked.ceiling},
            "penalties": penalties,
            "share": "units",
        },
        limits=dict(asked.limits),
        **fields,
    )


def as_catalog(asked: Question) -> Catalog:
    """What can be rented, and at what rates."""
    return catalog(
        [
            offering(
                one.provider,
                one.gpu,
                one.usd_per_hour,
                gpus_per_unit=one.gpus,
                name=one.name,
                billing=one.billing,
                max_units=one.max_units,
                kilowatts=one.kilowatts or None,
            )
            for one in asked.sold
        ],
        [
            raw(gpu, rate, llm=name, tensor_parallel=size)
            for (name, gpu, size), rate in asked.rates.items()
        ],
    )
