"""One deployment in figures: by hand, never slower with more, and what the command prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from milp_planner import estimate
from milp_planner.candidates.prices import ReplicaPrice, cheapest, offering_named, price_at
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.owned import owned_usd_per_hour
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.questions.deployments.estimate import (
    Deployment,
    Estimate,
    deployments,
    estimate_deployment,
)
from milp_planner.serving.rates.throughput import ServingModel
from tests.support.serving.known_llms import toy
from tests.support.serving.toys import box, catalog, measured, rent, write_folder

GIB = 2**30

TUNED = DeploymentSettings(tuning="tuned")


def ask(
    n: float | None = 1, known: Catalog | None = None, tensor_parallel: int = 1, **fields: object
) -> Estimate:
    """`toy` on a `box`, 800 tokens in and 200 out, in a tuned vLLM."""
    found = catalog() if known is None else known
    given = {"llm": toy(), "gpu": box(), "precision": "bf16"} | fields
    asked = Deployment(
        given["llm"],  # type: ignore[arg-type]
        given["gpu"],  # type: ignore[arg-type]
        str(given["precision"]),
        tensor_parallel,
        800,
        200,
        n,
        settings=fields.get("settings", TUNED),  # type: ignore[arg-type]
    )
    return estimate_deployment(asked, ServingModel(found), price=ReplicaPrice(3.6, "test"))


# ---- by hand


def test_one_request_alone_takes_what_weights_and_kernels_take() -> None:
    # weights 18 GB / (2,000 GB/s · 0.9) = 10 ms; cache 900 tokens · 10 kB / 1.8 TB/s = 5 µs;
    # kernels 10 layers · 50 µs = 0.5 ms; one sequence 20 µs
    found = ask()
    assert found.tpot_s == pytest.approx(10.525e-3)
    # prefill 2·9e9·800 / 60 TFLOPS = 240 ms, attention 2·8·250·10·800²/2 / 60 TFLOPS = 0.2133 ms
    # and 10 · 50 µs; a request then takes 200 · 10.525 ms + 240.7133 ms
    whole = 200 * 10.525e-3 + 0.2407133
    assert found.requests_per_second == pytest.approx(1 / whole, rel=1e-6)
    assert found.output_tokens_per_second == pytest.approx(200 / whole, rel=1e-6)
    assert found.ttft_s == pytest.approx(0.2407133 + 10.525e-3, rel=1e-6)
    assert not found.ttft_measured
    assert (found.source, found.bottleneck) == ("estimated", "weights")


def test_memory_is_weights_cache_and_reserve_of_each_gpu() -> None:
    # reserve: 1.7 GiB, 8192 tokens · 2 B · 14 · 1000 of activations, and 5 % of 72 − 16.764 GiB
    reserve = 1.7 + 8192 * 2 * 14_000 / GIB + 0.05 * (72 - 18e9 / GIB)
    found = ask(16)
    assert found.weights_gib == pytest.approx(18e9 / GIB)
    assert found.kv_gib == pytest.approx(16 * 1000 * 10_000 / GIB)
    assert (found.reserve_gib, found.usable_gib) == (pytest.approx(reserve), pytest.approx(72))
    assert found.needed_gib == pytest.approx(18e9 / GIB + 16e7 / GIB + reserve)
    assert (found.verdict, found.sequences) == ("fits", 1024)
    assert found.deployment == "vLLM, tuned"


def test_bandwidth_and_compute_shares_follow_from_bytes_and_operations() -> None:
    found = ask()
    # a step reads 18 GB and 9 MB of cache; 2,000 GB/s for 10.525 ms is 21.05 GB
    assert found.mbu == pytest.approx(18.009 / 21.05, rel=1e-6)
    # 2 · 9e9 operations for each of 1,000 tokens, and the attention of the prompt
    work = 2 * 9e9 * 1000 + 2 * 8 * 250 * 10 * 800**2 / 2
    assert found.mfu == pytest.approx(found.requests_per_second * work / 100e12, rel=1e-6)


def test_the_price_is_shared_by_what_a_full_replica_serves() -> None:
    found = ask()
    each = 3.6 / 3600 / found.requests_per_second
    assert found.usd_per_request == pytest.approx(each)
    assert found.usd_per_million_output_tokens == pytest.approx(each / 200 * 1e6)
    assert found.usd_per_million_tokens == pytest.approx(each / 1000 * 1e6)


def test_a_measured_row_is_returned_and_keeps_its_time_to_the_first_token() -> None:
    row = measured(60.0, concurrency=8, ttft_s=0.5, tpot_s=0.125, override=True)
    found = ask(8, catalog(row))
    assert found.output_tokens_per_second == pytest.approx(60)
    assert (found.source, found.ttft_measured) == ("measured", True)
    assert found.ttft_s == pytest.approx(0.5)
    assert found.latency_s == pytest.approx(0.5 + 199 * 0.125)
    assert found.derate == pytest.approx(0.94, abs=0.001)


def test_any_number_in_flight_can_be_asked_about() -> None:
    rows = [measured(x, concurrency=n, override=True) for x, n in ((80, 2), (400, 32))]
    known = catalog(*rows)
    found = [ask(n, known) for n in (2, 8, 32, 64, 65)]
    assert [e.source for e in found] == ["measured"] * 3 + ["calibrated"] * 2
    rates = [e.output_tokens_per_second or 0.0 for e in found]
    assert rates[0] == pytest.approx(80)
    assert rates[2] == pytest.approx(400)
    assert rates[0] < rates[1] < rates[2] <= rates[3]


def test_beyond_what_was_checked_the_estimate_warns() -> None:
    assert ask(513).warnings[0] == (
        "513 requests in flight are outside the checked range, 1 to 512"
    )
    assert not any("in flight" in warning for warning in ask(512).warnings)
    assert "box has no measured relative: the estimate was not checked on it" in ask(1).warnings


# ---- verdicts


@pytest.mark.parametrize(
    ("parameters_b", "verdict", "smallest"),
    [
        # 0.95 of what the weights leave of 72 GiB, less 1.7 + 0.214 GiB, must hold a sequence of
        # 0.009: weights up to 69.975 GiB; with 1.914 GiB of reserve they fill 80 GiB from 78.08 on
        (37.5, "fits", ""),
        (37.6, "marginal", "2 x box"),
        (41.9, "marginal", "2 x box"),
        (42.0, "does not fit", "2 x box"),
        (400.0, "does not fit", ""),  # 745 GiB: not in eight either
    ],
)
def test_a_deployment_fits_is_marginal_up_to_all_the_memory_of_the_gpu_or_does_not(
    parameters_b: float, verdict: str, smallest: str
) -> None:
    llm = toy(parameters_b=parameters_b)
    found = ask(1, catalog(llms=[llm]), llm=llm)
    assert (found.verdict, found.smallest) == (verdict, smallest)
    assert (found.tpot_s is None) == (verdict != "fits")


def test_what_fits_no_number_of_its_own_gpu_gets_the_smallest_of_another() -> None:
    tub = box(id="tub", memory_gib=8)
    llm = toy(parameters_b=60.0)  # 112 GiB: eight tubs hold 57.6, two boxes of 72 do
    found = ask(1, catalog(llms=[llm], gpus=[box(), tub]), llm=llm, gpu=tub)
    assert (found.verdict, found.smallest) == ("does not fit", "2 x box")


def test_more_in_flight_than_fit_is_said_with_both_numbers() -> None:
    # 72 - 4.675 - 16.764 = 50.561 GiB of cache hold 5,428 sequences of 10 MB
    found = ask(6000)
    assert found.verdict == "marginal"
    assert found.reason == "6,000 requests in flight need 77.3 GiB of 72.0 per GPU; 5,428 fit"
    capped = ask(65, settings=DeploymentSettings(max_sequences=64))
    assert capped.reason == "65 requests in flight, max_sequences is 64"


def test_heads_that_do_not_divide_and_unknown_facts_are_reasons() -> None:
    assert "8 heads do not divide by 3 GPUs" in ask(1, tensor_parallel=3).reason
    blank = box(bf16_tflops=None)
    found = ask(1, catalog(gpus=[blank]), gpu=blank)
    assert "no measured rate of toy on box" in found.reason
    assert found.verdict == "fits"


# ---- what must hold for every deployment


def test_more_in_flight_never_lowers_throughput_until_memory_ends() -> None:
    rates = [ask(n).output_tokens_per_second or 0.0 for n in (1, 2, 4, 8, 16, 64, 256)]
    assert rates == sorted(rates)


def test_more_bandwidth_is_never_slower() -> None:
    speeds = []
    for bandwidth in (500, 1000, 2000, 8000):
        gpu = box(memory_bandwidth_gb_per_s=bandwidth)
        speeds.append(ask(4, catalog(gpus=[gpu]), gpu=gpu).tpot_s or 0.0)
    assert speeds == sorted(speeds, reverse=True)


def test_without_a_concurrency_as_many_as_fit_within_the_wish() -> None:
    asked = {"input_tokens": 800, "output_tokens": 200, "catalog": catalog(), "deployment": TUNED}
    free = estimate("toy", "box", **asked)
    held = estimate("toy", "box", tpot_limit_s=0.02, **asked)
    assert free.concurrency == 1024
    assert held.concurrency is not None
    assert held.tpot_s is not None
    assert held.tpot_s <= 0.02 < (ask(held.concurrency + 1).tpot_s or 0.0)


def test_combinations_are_every_one_in_order_and_at_most_2_000() -> None:
    sizes = {"input_tokens": 1.0, "output_tokens": 1.0}
    found = deployments([toy()], [box()], ["bf16", "fp8"], [1, 2], [1, 4], **sizes)
    assert [(d.precision, d.tensor_parallel, d.concurrency) for d in found[:3]] == [
        ("bf16", 1, 1),
        ("bf16", 1, 4),
        ("bf16", 2, 1),
    ]
    assert len(found) == 8
    with pytest.raises(ValueError, match="2,001 deployments, at most 2,000 at once"):
        deployments([toy()], [box()], ["bf16"], [1], [*range(1, 2002)], **sizes)


# ---- prices


def test_the_cheapest_replica_shares_a_larger_unit_and_leaves_out_spot() -> None:
    quad = rent(12.0, name="quad", gpus_per_unit=4)
    spot = rent(1.0, name="quad", gpus_per_unit=4, billing="spot")
    known = catalog(offerings=[rent(), quad, spot])
    assert cheapest(known, "box", 1) == ReplicaPrice(
        3.0, "acme/quad/eu-1 dedicated, 1/4 of a unit of 4 GPUs"
    )
    assert price_at(quad, 4) == ReplicaPrice(12.0, "acme/quad/eu-1 dedicated")
    assert cheapest(known, "box", 8) is None
    assert cheapest(known, "box", 1, "bolt") is None


def test_joined_units_cost_all_of_them_and_are_used_whole() -> None:
    quad = rent(12.0, name="quad", gpus_per_unit=4)
    known = catalog(offerings=[rent(), quad])
    both = "acme/quad/eu-1 dedicated, 2 units of 4 GPUs"
    assert cheapest(known, "box", 8, units=2) == ReplicaPrice(24.0, both)
    assert cheapest(known, "box", 2, units=2) == ReplicaPrice(
        7.2, "acme/box/eu-1 dedicated, 2 units of 1 GPUs"
    )
    assert cheapest(known, "box", 4, units=2) is None
    joined = DeploymentSettings(units_per_replica=2, pipeline_parallel=2)
    sizes = {"input_tokens": 800, "output_tokens": 200, "tensor_parallel": 4}
    found = estimate("toy", "box", **sizes, deployment=joined, catalog=known)
    assert found.price == ReplicaPrice(24.0, both)
    assert (found.pipeline_parallel, found.units_joined) == (2, 2)


def test_what_no_unit_holds_names_the_fewest_joined_units_that_do() -> None:
    # 700 GB in 16 bits, 651.9 GiB: 81.5 GiB on each of 8 boxes of 72 usable, 40.7 on each of 16 in
    # two stages: 8 heads are not split over 16
    huge = toy(id="huge", parameters_b=350.0)
    known = catalog(llms=[huge], offerings=[rent(gpus_per_unit=8)])
    sizes = {"input_tokens": 800, "output_tokens": 200, "catalog": known}
    found = estimate("huge", "box", tensor_parallel=8, **sizes)
    assert (found.verdict, found.smallest) == ("does not fit", "")
    assert found.smallest_joined == "2 joined units of 8 x box (tp 8 x pp 2)"
    assert found.to_dict()["smallest_joined"] == found.smallest_joined
    small = estimate("huge", "box", tensor_parallel=1, precision="fp8", **sizes)
    assert (small.verdict, small.smallest, small.smallest_joined) == (
        *("does not fit", "8 x box"),
        "",
    )


def test_an_offering_sold_in_two_ways_is_taken_on_demand_unless_said() -> None:
    known = catalog(offerings=[rent(), rent(1.0, billing="spot")])
    assert offering_named(known, "acme/box/eu-1").billing == "dedicated"
    assert offering_named(known, "acme/box/eu-1", "spot").usd_per_hour == 1.0
    with pytest.raises(InputError, match="is sold as dedicated, spot, not reserved_1y"):
        offering_named(known, "acme/box/eu-1", "reserved_1y")
    with pytest.raises(InputError, match="no offering 'acme/bax/eu-1'; closest: acme/box/eu-1"):
        offering_named(known, "acme/bax/eu-1")


def test_owned_hardware_costs_its_purchase_its_power_and_the_rest() -> None:
    # $26,280 over 3 years of 8,760 h is $1/h; 1 kW at $0.20 with PUE 1.5 is $0.30/h; $72 a month
    # of 720 h is $0.10/h
    assert owned_usd_per_hour(26_280, 3) == pytest.approx(1.0)
    assert owned_usd_per_hour(26_280, 3, 1000, 0.20, 1.5, 72) == pytest.approx(1.4)
    for wrong, words in (((1, 0), "lifetime_years"), ((-1, 1), "at least 0")):
        with pytest.raises(ValueError, match=words):
            owned_usd_per_hour(*wrong)
    with pytest.raises(ValueError, match="pue must be at least 1"):
        owned_usd_per_hour(1, 1, pue=0.9)


OWNED = (
    "provider,name,region,gpu,gpus_per_unit,purchase_usd,lifetime_years,watts,usd_per_kwh,pue,"
    "usd_per_month,max_units,as_of,source\n"
    "lab,node,cellar,box,2,26280,3,1000,0.20,1.5,72,3,2026-01-01,own books\n"
)


def test_owned_units_in_a_catalog_become_offerings_with_a_computed_price(tmp_path: Path) -> None:
    known = load_catalog(write_folder(tmp_path / "own", **{"owned.csv": OWNED}))
    (units,) = [o for o in known.offerings if o.billing == "owned"]
    assert units.id == "lab/node/cellar"
    assert units.usd_per_hour == pytest.approx(1.4)
    assert (units.gpus_per_unit, units.max_units) == (2, 3)
    assert units.note.startswith("$26,280 over 3 years, 1,000 W at $0.2 per kWh, PUE 1.5")


def test_owned_units_are_checked_like_any_row(tmp_path: Path) -> None:
    wrong = OWNED.replace("26280,3", "-1,3").replace(",1.5,", ",0.5,").replace(",box,", ",bux,")
    with pytest.raises(InputError) as caught:
        load_catalog(write_folder(tmp_path / "own", **{"owned.csv": wrong}))
    text = str(caught.value)
    assert "owned.csv:2: purchase_usd: must be at least 0 (is -1)" in text
    assert "owned.csv:2: pue: must be at least 1 (is 0.5)" in text
    assert "owned.csv:2: gpu: 'bux' is not in the catalog; did you mean 'box'?" in text
