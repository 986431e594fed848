"""The formulation under review: any change of a row shows here, and is made on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from milp_planner import prepare
from milp_planner.milp.program.families import CONSTRAINTS
from milp_planner.milp.program.model import build_model
from tests.support.builders import catalog, offering, problem, raw, token_price, workload

GOLDEN = Path(__file__).parents[1] / "golden"

OFFERINGS = [
    offering("acme", "big", 4.0, gpus_per_unit=2),
    offering("bolt", "small", 1.5, billing="autoscaling", region="us-1"),
    offering("bolt", "small", 0.9, billing="spot", region="us-1", max_units=5),
]


def mixed_workloads():
    """Two workloads in two blocks, one with two classes, under every limit there is."""
    sizes = [
        {"input_tokens": 1, "output_tokens": 1, "share": 0.75},
        {"input_tokens": 10, "output_tokens": 10, "share": 0.25},
    ]
    half_the_time = {
        "kind": "tokens_per_day",
        "tokens_per_day": 86_400,
        "pattern": {"active_ratio": 0.5, "burst_factor": 2},
    }
    return problem(
        workloads=[
            workload(7, "chat", requests=sizes, latency={"requirement": "200ms"}),
            workload(name="code", traffic=half_the_time, min_replicas=3),
        ],
        target=0.75,
        policy={
            "utilization": {"target": 0.75, "ceiling": 0.95},
            "penalties": {
                "overload": {},
                "scaling": {},
                "strict_latency": {},
                "shortfall": {"usd_per_million_requests": 50},
            },
        },
        limits={
            "budget": {"usd_per_month": 9000},
            "billing": {"allow": ["dedicated", "autoscaling", "spot", "per_token"]},
            "providers": {"max_count": 2, "max_share": 0.8},
            "regions": {"max_count": 2},
            "gpus": {"max_count": 1},
            "max_gpus": {"total": 12, "per_provider": {"bolt": 7}, "per_gpu": {"big": 6}},
            "max_units": {"acme/*": 4},
            "max_spot_share": 0.5,
            "min_on_demand_replicas": 1,
            "survive_loss_of": "provider",
        },
        current_fleet=[{"offering": "acme/big/eu-1", "units": 1, "workload": "chat"}],
        switching={"usd_per_unit_added": 10, "usd_per_unit_removed": 5, "max_units_changed": 9},
    )


def plain_workload():
    return problem(10, target=0.75)


def shared_units():
    """Two workloads whose replicas of one and two GPUs share units of two."""
    return problem(
        workloads=[workload(7, "chat"), workload(3, "code")],
        target=0.75,
        policy={"utilization": {"target": 0.75}, "share": "units"},
        limits={"max_gpus": {"total": 12}},
    )


def with_commitments():
    """The same demand, of which units of either offering, and an amount of one, are paid."""
    return mixed_workloads().changed(
        {
            "limits": {"max_units": {}},
            "commitments": [
                {"offering": "*", "units": 2},
                {"offering": "bolt/*", "usd_per_hour": 3, "discount": "25%"},
            ],
        }
    )


def waits_kept():
    """A wish for the wait in two blocks, what is left after the loss of a provider included."""
    rates = [
        {"gpu": "big", "requests_per_second": 10, "in_flight": 64},
        {"gpu": "small", "requests_per_second": 3, "in_flight": 8},
    ]
    day = {"kind": "profile", "requests_per_day": 345_600, "weights": [3] * 12 + [1] * 12}
    chat = workload(rates=rates, traffic=day, latency={"wait": {"p99": "1s"}})
    survive = {"kind": "provider", "share": 0.5}
    return problem(
        workloads=[chat],
        target=0.75,
        limits={"survive_loss_of": survive, "billing": {"allow": ["dedicated", "autoscaling"]}},
    )


def own_queues():
    """The same, each offering with an endpoint of its own."""
    return waits_kept().changed({"policy.routing": "per_offering"})


def with_start_up():
    """Elastic units and some of one's own in a day of three loads."""
    day = {
        "kind": "profile",
        "requests_per_day": 8 * (2 + 4) * 3_600,
        "weights": [1] * 8 + [2] * 8 + [0] * 8,
        "max_blocks": 3,
    }
    return problem(
        chat={"traffic": day},
        policy={"start_up": [{"ready_after": "90min"}]},
        limits={"max_power_kw": 7},
        prices={
            "volume": {
                "bolt/*": [{"above": 500, "discount": 0.1}, {"above": 2_000, "discount": 0.2}]
            }
        },
    )


def with_batches():
    """Work of two sizes that is done by night, beside a workload of the same LLM."""
    sizes = [
        {"input_tokens": 1, "output_tokens": 1, "share": 0.75},
        {"input_tokens": 10, "output_tokens": 10, "share": 0.25},
    ]
    day = {
        "kind": "profile",
        "requests_per_day": 12 * (2 + 4) * 3_600,
        "weights": [1] * 12 + [2] * 12,
        "burst_factor": 1.25,
    }
    batches = {"kind": "batch", "requests": 36_000, "deadline": "10h", "from_hour": 20}
    return problem(
        workloads=[
            workload(name="chat", traffic=day),
            workload(name="night", traffic=batches, requests=sizes),
        ],
        target=0.75,
        limits={
            "billing": {"allow": ["dedicated", "autoscaling", "spot", "per_token"]},
            "max_gpus": {"total": 12},
        },
        policy={"penalties": {"shortfall": {"usd_per_million_requests": 50}}, "spot_loss": 0.03},
    )


def with_any_llm():
    """Two LLMs, of which one is good and slow, by day and night, and a mean to keep."""
    day = {
        "kind": "profile",
        "requests_per_day": 12 * (2 + 4) * 3_600,
        "weights": [1] * 12 + [2] * 12,
    }
    choice = {"any_of": ["tiny", "lean"], "quality": {"tiny": 0.9, "lean": 0.6}, "at_least": 0.8}
    limits = {"billing": {"allow": ["dedicated", "autoscaling", "per_token"]}}
    return problem(chat={"llm": choice, "traffic": day}, limits=limits)


def with_power_by_load():
    """Units of one's own whose power is that of what they carry, beside those for rent."""
    day = {
        "kind": "profile",
        "requests_per_day": 12 * (2 + 4) * 3_600,
        "weights": [1] * 12 + [2] * 12,
        "burst_factor": 1.25,
    }
    return problem(chat={"traffic": day}, policy={"power_by_load": True})


def shared_llms_and_batches():
    """Replicas of either LLM, and of a batch, on units that they share."""
    choice = {"any_of": ["tiny", "lean"], "quality": {"tiny": 0.9, "lean": 0.6}, "at_least": 0.8}
    batches = {"kind": "batch", "requests": 43_200, "deadline": "24h"}
    return problem(
        workloads=[
            workload(7, "chat", llm=choice),
            workload(2, "code"),
            workload(name="night", traffic=batches),
        ],
        policy={"share": "units"},
    )


def shared_power():
    """Units of one's own that two workloads share, and whose power is by load."""
    return shared_units().changed({"policy.power_by_load": True})


CASES = {
    "shared-llms": shared_llms_and_batches,
    "shared-power": shared_power,
    "power": with_power_by_load,
    "any-llm": with_any_llm,
    "batches": with_batches,
    "plain": plain_workload,
    "mixed": mixed_workloads,
    "commitments": with_commitments,
    "waits": waits_kept,
    "own-queues": own_queues,
    "start-up": with_start_up,
    "shared": shared_units,
}

MORE_RATES = {
    "shared": [raw("big", 30, size=(1, 1), tensor_parallel=2)],
    "any-llm": [raw("small", 9, size=(1, 1), llm="lean")],
    "shared-llms": [
        raw("big", 30, size=(1, 1), tensor_parallel=2),
        raw("big", 19, size=(1, 1), llm="lean"),
    ],
}
"""Rates of replicas of two GPUs, or of another LLM, in the cases that have any."""


OWNED = {
    "start-up": [offering("own", "small", 1.0, billing="owned", kilowatts=2.5)],
    "power": [
        offering(
            *("own", "small", 1.0),
            billing="owned",
            idle_usd_per_hour=0.7,
            busy_usd_per_hour=1.3,
        )
    ],
    "shared-power": [
        offering(
            *("own", "big", 3.0),
            gpus_per_unit=4,
            billing="owned",
            idle_usd_per_hour=1.7,
            busy_usd_per_hour=3.1,
        )
    ],
}
"""What is sold beside `OFFERINGS`."""


@pytest.mark.parametrize("name", CASES)
def test_the_program_is_unchanged(name, update_golden):
    rates = [
        raw("big", 10, size=(1, 1)),
        raw("big", 1, size=(10, 10)),
        raw("small", 3, size=(1, 1)),
        raw("small", 0.4, size=(10, 10)),
    ]
    rates += MORE_RATES.get(name, [])
    rented = catalog(
        [*OFFERINGS, *OWNED.get(name, ())],
        rates,
        [token_price("cloud", 2.0, max_requests_per_minute=90)],
    )
    given = prepare(CASES[name](), rented)
    text = build_model(given, given.candidates.candidates).describe()
    path = GOLDEN / f"{name}.lp.txt"
    if update_golden:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_the_golden_programs_hold_every_family():
    text = "".join((GOLDEN / f"{name}.lp.txt").read_text(encoding="utf-8") for name in CASES)
    missing = [f.name for f in CONSTRAINTS if f"\n  {f.name} " not in text]
    assert not missing
