"""limits.host: the least that the host of a unit has, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from milp_planner import (
    Catalog,
    InputError,
    Problem,
    Scenario,
    Status,
    diagnose,
    evaluate,
    explain,
    explain_limits,
    prepare,
    solve,
    what_if,
)
from milp_planner.candidates.hosts import HOST_FACTS
from milp_planner.inputs.problem.host import HostLimits
from tests.support.builders import catalog, offering, problem, raw, token_price

RICH, POOR, SILENT = "acme/rich/eu-1", "bolt/poor/eu-1", "coil/silent/eu-1"


def hosts() -> Catalog:
    """Units of two GPUs, 10 requests/s each GPU: the poorer the host, the cheaper.

    A GPU of rich has 16 vCPUs and 128 GiB, one of poor 4 and 30; silent says nothing.
    """
    return catalog(
        [
            offering(
                "acme", "big", 9.0, gpus_per_unit=2, name="rich", vcpus=32, host_memory_gib=256
            ),
            offering("bolt", "big", 7.0, gpus_per_unit=2, name="poor", vcpus=8, host_memory_gib=60),
            offering("coil", "big", 5.0, gpus_per_unit=2, name="silent"),
        ],
        [raw("big", 10)],
    )


def asked(**host: Any) -> Problem:
    return problem(10, limits={"host": host})


def bought(question: Problem) -> list[str]:
    return [p.candidate.offering.id for p in solve(question, hosts()).purchases]


@pytest.mark.parametrize(
    ("host", "offered"),
    [
        ({}, SILENT),
        ({"min_vcpus_per_gpu": 4}, POOR),
        ({"min_memory_gib_per_gpu": 30}, POOR),
        ({"min_vcpus_per_gpu": 4.01}, RICH),
        ({"min_memory_gib_per_gpu": "31"}, RICH),
        ({"min_vcpus_per_gpu": 4, "min_memory_gib_per_gpu": 128}, RICH),
    ],
)
def test_the_cheapest_host_that_has_enough_for_each_gpu_is_taken(host, offered):
    assert bought(asked(**host)) == [offered]


def test_every_offering_turned_down_says_what_its_host_lacks_or_hides():
    listed = prepare(asked(min_vcpus_per_gpu=8, min_memory_gib_per_gpu=64), hosts()).candidates
    assert [k.offering.id for k in listed.candidates] == [RICH]
    assert {row.offering.id: row.reason for row in listed.turned_down} == {
        POOR: "4 vCPUs per GPU are below limits.host.min_vcpus_per_gpu (8)",
        SILENT: "vCPUs per GPU are not known, and limits.host.min_vcpus_per_gpu asks for 8",
    }
    listed = prepare(asked(min_memory_gib_per_gpu=64), hosts()).candidates
    assert {row.offering.id: row.reason for row in listed.turned_down} == {
        POOR: "30 GiB of host memory per GPU are below limits.host.min_memory_gib_per_gpu (64)",
        SILENT: "GiB of host memory per GPU are not known, and "
        "limits.host.min_memory_gib_per_gpu asks for 64",
    }


def test_an_api_has_no_host_and_what_is_owned_says_nothing_of_its_own():
    known = catalog([offering("own", "big", 1.0, billing="owned")], [raw("big", 10)])
    limits = {"host": {"min_vcpus_per_gpu": 1}, "billing": {"allow": ["owned", "per_token"]}}
    assert solve(problem(10, limits=limits), known).status is Status.INFEASIBLE
    known = catalog([], [raw("big", 10)], [token_price("tokn", 1.0)])
    assert solve(problem(10, limits=limits), known).status is Status.OPTIMAL


def test_a_diagnosis_asks_for_what_hosts_there_are_have():
    question = asked(min_vcpus_per_gpu=17)
    told = diagnose(question, hosts())
    assert told is not None
    (change,) = told.changes
    assert (change.path, change.now) == ("limits.host.min_vcpus_per_gpu", "17 vCPUs per GPU")
    # Without the limit silent is the cheapest; a host that is known to have 16 comes first.
    assert change.text == "ask for 16 vCPUs per GPU"
    assert change.cash_usd_per_month == pytest.approx(9 * 720)
    assert bought(question.changed(change.patch)) == [RICH]


def test_where_nobody_says_a_diagnosis_does_without_the_limit():
    known = catalog([offering("coil", "big", 5.0)], [raw("big", 10)])
    told = diagnose(asked(min_memory_gib_per_gpu=8), known)
    assert told is not None
    (change,) = told.changes
    assert change.text == "ask for no least, so that GiB of host memory may be unknown"
    assert solve(asked(min_memory_gib_per_gpu=8).changed(change.patch), known).status.has_plan


def test_what_the_limit_costs_and_from_where_it_binds_is_told():
    # Rich at $9/h instead of silent at $5/h: $4 x 720 = $2,880 a month.
    (cost,) = [
        row
        for row in explain_limits(asked(min_vcpus_per_gpu=5), hosts()).rows
        if row.path.startswith("limits.host")
    ]
    assert (cost.value, cost.usd_per_month) == ("5 vCPUs per GPU", pytest.approx(2880))


def test_a_fleet_on_a_poor_host_is_priced_and_said_to_break_the_limit():
    told = evaluate(asked(min_vcpus_per_gpu=8), {POOR: 1}, hosts())
    assert told.cash_usd_per_month == pytest.approx(7 * 720)
    (breach,) = told.breaches
    assert "4 vCPUs per GPU are below limits.host.min_vcpus_per_gpu (8)" in breach.message


def test_explain_and_what_if_see_it():
    why = explain(asked(min_vcpus_per_gpu=8), hosts(), offering=POOR)
    assert "limits.host.min_vcpus_per_gpu" in str(why)
    well = Scenario("well", patch={"limits.host.min_vcpus_per_gpu": 8})
    (row,) = what_if(asked(), [well], hosts()).rows[-1:]
    assert row.plan is not None
    assert row.plan.cash_usd_per_month == pytest.approx(9 * 720)


@pytest.mark.parametrize("least", [0, -4, "many", True, 1e9])
def test_a_least_that_is_no_amount_is_an_error(least):
    with pytest.raises(InputError, match=r"limits\.host\.min_vcpus_per_gpu"):
        asked().changed({"limits.host.min_vcpus_per_gpu": least})


def test_every_wish_of_a_host_has_its_fact():
    assert set(HOST_FACTS) == set(HostLimits.model_fields)
