"""What rows say of a rate: the user's own, those that others published, and doubtful ones."""

from __future__ import annotations

from datetime import date
from math import sqrt

import pytest

from milp_planner.inputs.catalog.records import Catalog, Llm
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.serving.derate import (
    ESTIMATED,
    INTERPOLATED,
    MEASURED,
    OTHER_GPU,
    OTHER_TENSOR_PARALLEL,
    PUBLISHED,
    SAME_REPLICA,
)
from milp_planner.serving.rates.doubtful_rows import told_together
from milp_planner.serving.rates.throughput import (
    OperatingPoint,
    Rejection,
    ServingModel,
)
from tests.support.serving.known_llms import DEEPSEEK, LLAMA_70B
from tests.support.serving.replicas import (
    BOXED,
    H200,
    NEWER_LLAMA,
    OTHER,
    TUNED,
    ask,
    gpu,
    model,
    published,
    row,
)


def test_a_measured_point_is_returned_as_it_was_measured() -> None:
    # 8 requests in flight at 500 tokens each and 400 tokens/s: 0.8 requests/s
    serving = model(row(8, 400, tpot_s=0.019, ttft_s=0.4), row(4, 220, tpot_s=0.017, ttft_s=0.3))
    point = ask(serving, tpot_limit_s=0.019)
    assert point.source == MEASURED
    assert point.requests_per_second == pytest.approx(0.8)
    assert (point.concurrency, point.tpot_s) == (8, pytest.approx(0.019))
    assert (point.ttft_s, point.ttft_measured) == (pytest.approx(0.4), True)
    assert point.derate == pytest.approx(0.94, abs=0.001)
    assert point.source_detail == "2 rows of llama-70b in vllm, lab/bench, newest 2026-01-01"


def test_between_measured_concurrencies_the_ratio_to_the_estimate_is_interpolated() -> None:
    serving = model(row(4, 220, tpot_s=0.0175), row(16, 700, tpot_s=0.0215))
    estimate = serving.estimate(LLAMA_70B, H200, "fp8", 2, 1000, 500)
    # 8 lies halfway between 4 and 16 in logarithm; 220 and 700 tokens/s are 0.44 and 1.4 requests/s
    tpot = sqrt(0.0175 / estimate.tpot_s(4) * 0.0215 / estimate.tpot_s(16))
    rate = sqrt(0.44 / estimate.requests_per_second(4) * 1.4 / estimate.requests_per_second(16))
    point = ask(serving, tpot_limit_s=tpot * estimate.tpot_s(8))
    assert (point.source, point.concurrency) == (MEASURED, 8)
    assert point.tpot_s == pytest.approx(tpot * estimate.tpot_s(8))
    assert point.requests_per_second == pytest.approx(rate * estimate.requests_per_second(8))


def test_without_a_wish_the_highest_measured_rate_wins_over_the_highest_concurrency() -> None:
    # the engine thrashes at 128
    serving = model(row(64, 2000, tpot_s=0.03), row(128, 1500, tpot_s=0.08))
    assert ask(serving).concurrency == 64


def test_a_curve_is_carried_beyond_its_end_as_calibrated() -> None:
    serving = model(row(16, 650, tpot_s=0.02))
    estimate = serving.estimate(LLAMA_70B, H200, "fp8", 2, 1000, 500)
    point = ask(serving)
    assert (point.source, point.evidence) == ("calibrated", SAME_REPLICA)
    assert point.concurrency == 371  # all that memory holds
    ratio = 1.3 / estimate.requests_per_second(16)
    assert point.requests_per_second == pytest.approx(ratio * estimate.requests_per_second(371))
    rates = [
        serving.at(LLAMA_70B, H200, "fp8", 2, 1000, 500, n).requests_per_second
        for n in range(1, 372)
    ]
    assert rates == sorted(rates)


def test_rows_at_a_size_twice_away_move_along_the_estimate() -> None:
    serving = model(row(8, 400, tpot_s=0.019))
    here = serving.estimate(LLAMA_70B, H200, "fp8", 2, 1500, 600)
    there = serving.estimate(LLAMA_70B, H200, "fp8", 2, 1000, 500)
    at_8 = 0.019 * here.tpot_s(8) / there.tpot_s(8)
    point = ask(serving, size=(1500, 600), tpot_limit_s=at_8)
    assert (point.source, point.evidence) == ("calibrated", INTERPOLATED)
    n = 8
    assert point.concurrency == n
    moved = 0.8 * here.requests_per_second(n) / there.requests_per_second(n)
    assert point.requests_per_second == pytest.approx(moved)


def test_a_ttft_moved_from_one_other_size_judges_a_wish_as_an_estimate() -> None:
    serving = model(row(8, 400, tpot_s=0.019, ttft_s=1.0))
    here = serving.estimate(LLAMA_70B, H200, "fp8", 2, 1500, 600)
    there = serving.estimate(LLAMA_70B, H200, "fp8", 2, 1000, 500)
    moved_s = here.prefill_s / there.prefill_s  # 1 s moved along
    point = ask(serving, size=(1500, 600), ttft_limit_s=2)
    assert point.ttft_s == pytest.approx(moved_s)
    assert not point.ttft_measured
    assert point.warnings == ("ttft wish 2 s is not verified: no measured ttft",)
    refused = ask(serving, size=(1500, 600), ttft_limit_s=0.5)
    assert isinstance(refused, Rejection)
    assert refused.times_missed == pytest.approx(moved_s / 0.5)
    assert isinstance(ask(serving, ttft_limit_s=0.5), Rejection)  # at its own size it gates


def test_between_two_sizes_the_ratios_are_interpolated_in_their_logarithms() -> None:
    # measured ÷ estimated is 0.4 at 1000 tokens in and 1.6 at 4000; 2000 is halfway: 0.8
    bare = model()
    rows = []
    for tokens, ratio in ((1000, 0.4), (4000, 1.6)):
        estimate = bare.estimate(LLAMA_70B, H200, "fp8", 2, tokens, 500)
        rate = ratio * estimate.output_tokens_per_second(16)
        rows.append(row(16, rate, input_tokens=tokens, tpot_s=estimate.tpot_s(16)))
    serving = model(*rows)
    here = serving.estimate(LLAMA_70B, H200, "fp8", 2, 2000, 500)
    point = ask(serving, size=(2000, 500), tpot_limit_s=here.tpot_s(16))
    assert (point.source, point.evidence, point.concurrency) == (MEASURED, INTERPOLATED, 16)
    assert point.requests_per_second == pytest.approx(0.8 * here.requests_per_second(16))


def test_rows_far_from_the_size_calibrate_instead_of_measuring() -> None:
    # 8000 in is three doublings away from 1000
    serving = model(row(8, 200, tpot_s=0.03))
    point = ask(serving, size=(8000, 500), tpot_limit_s=0.1)
    there = serving.estimate(LLAMA_70B, H200, "fp8", 2, 1000, 500)
    here = serving.estimate(LLAMA_70B, H200, "fp8", 2, 8000, 500)
    assert (point.source, point.evidence) == ("calibrated", SAME_REPLICA)
    factor = (0.4 / there.requests_per_second(8)) ** 0.6  # as much of it carries over
    assert point.requests_per_second == pytest.approx(
        factor * here.requests_per_second(point.concurrency)
    )
    assert point.source_detail == (
        f"calibrated on the same replica: 1 row of llama-70b, {factor:.2f} × the estimate"
    )


def test_the_same_llm_calibrates_another_tensor_parallel_and_less_another_gpu() -> None:
    serving = model(row(8, 300, tpot_s=0.025))
    there = serving.estimate(LLAMA_70B, H200, "fp8", 2, 1000, 500)
    for tp, on, evidence, share in (
        (4, H200, OTHER_TENSOR_PARALLEL, 0.6),
        (2, gpu("old"), OTHER_GPU, 0.4),
    ):
        point = ask(serving, on=on, tp=tp, tpot_limit_s=0.05)
        bare = serving.estimate(LLAMA_70B, on, "fp8", tp, 1000, 500)
        assert (point.source, point.evidence) == ("calibrated", evidence)
        factor = point.requests_per_second / bare.requests_per_second(point.concurrency)
        assert factor == pytest.approx((0.6 / there.requests_per_second(8)) ** share)


@pytest.mark.parametrize(
    ("llm", "precision", "settings"),
    [
        (OTHER, "fp8", DeploymentSettings()),
        (LLAMA_70B, "bf16", DeploymentSettings()),
        (LLAMA_70B, "fp8", DeploymentSettings(engine="sglang")),
    ],
    ids=["another LLM", "another precision", "another engine"],
)
def test_farther_relatives_do_not_calibrate(
    llm: Llm, precision: str, settings: DeploymentSettings
) -> None:
    serving = model(row(8, 300, tpot_s=0.025))
    found = ask(serving, llm, precision=precision, settings=settings, size=(8000, 500))
    assert found.source == ESTIMATED


def test_what_others_published_neither_calibrates_nor_moves_to_another_size() -> None:
    serving = model(published(8, 400, tpot_s=0.019))
    for size in ((1500, 600), (8000, 500)):
        assert ask(serving, size=size).source == ESTIMATED


def test_calibration_is_the_geometric_mean_of_measured_over_estimated() -> None:
    serving = model()
    estimates = {
        i: serving.estimate(LLAMA_70B, H200, "fp8", 2, i, 500).output_tokens_per_second(8)
        for i in (200, 12_000)
    }
    rows = [row(8, 0.5 * estimates[200], input_tokens=200)]
    rows.append(row(8, 0.98 * estimates[12_000], input_tokens=12_000))
    calibrated = model(*rows)
    point = ask(calibrated, size=(1500, 100), tpot_limit_s=0.1)
    bare = calibrated.estimate(LLAMA_70B, H200, "fp8", 2, 1500, 100)
    factor = point.requests_per_second / bare.requests_per_second(point.concurrency)
    assert factor == pytest.approx(0.7**0.6)  # √(0.5 · 0.98), 0.6 of its logarithm


def test_llms_of_one_architecture_share_their_rows() -> None:
    serving = model(row(8, 400, tpot_s=0.019), llms=(LLAMA_70B, NEWER_LLAMA))
    point = ask(serving, NEWER_LLAMA, tpot_limit_s=0.019)
    assert point.source == MEASURED
    assert "1 row of llama-70b in vllm," in point.source_detail


def test_of_engines_that_measured_the_same_the_deployments_own_is_planned() -> None:
    own = [published(n, 30 * n, tpot_s=0.03) for n in (4, 8)]
    other = [published(n, 40 * n, tpot_s=0.022, engine="sglang") for n in (4, 8)]
    point = ask(model(*own, *other), tpot_limit_s=0.03, settings=TUNED)
    assert (point.source, point.concurrency) == (MEASURED, 8)
    assert point.requests_per_second == pytest.approx(8 * 30 / 500)
    assert point.source_detail.startswith("2 rows of llama-70b in vllm")


def test_of_several_other_deployments_the_slowest_is_planned_and_the_spread_said() -> None:
    # TensorRT-LLM is asked about; 8 in flight give 0.48 and 0.64 requests/s in two other engines
    rows = [
        published(8, 8 * speed, tpot_s=0.5 / speed, engine=engine)
        for engine, speed in (("vllm", 30), ("sglang", 40))
    ]
    asked = DeploymentSettings(engine="tensorrt-llm", kv_precision="bf16")
    point = model(*rows).at(LLAMA_70B, H200, "fp8", 2, 1000, 500, 8, settings=asked)
    assert isinstance(point, OperatingPoint)
    assert point.requests_per_second == pytest.approx(0.48)
    assert point.source_detail.endswith(
        "moved to TensorRT-LLM, tuned, bf16 KV cache; 2 deployments measured it, up to 1.33 × this"
    )


def test_a_row_of_another_deployment_is_moved_and_trusted_as_the_estimate() -> None:
    serving = model(published(8, 400, tpot_s=0.019))
    tuned = serving.estimate(LLAMA_70B, H200, "fp8", 2, 1000, 500, TUNED)
    here = serving.estimate(LLAMA_70B, H200, "fp8", 2, 1000, 500)
    asked = serving.at(LLAMA_70B, H200, "fp8", 2, 1000, 500, 8)
    bare = model().at(LLAMA_70B, H200, "fp8", 2, 1000, 500, 8)
    assert isinstance(asked, OperatingPoint)
    assert isinstance(bare, OperatingPoint)
    assert (asked.source, asked.evidence) == (PUBLISHED.split()[0], PUBLISHED)
    moved = 0.8 * here.requests_per_second(8) / tuned.requests_per_second(8)
    assert asked.requests_per_second == pytest.approx(moved)
    assert moved < 0.8
    assert asked.derate == bare.derate  # the share of an estimate
    same = serving.at(LLAMA_70B, H200, "fp8", 2, 1000, 500, 8, settings=TUNED)
    assert isinstance(same, OperatingPoint)
    assert same.source == MEASURED
    assert same.requests_per_second == pytest.approx(0.8)


def test_rows_that_measured_a_concurrency_go_before_a_curve_carried_to_it() -> None:
    # vLLM was measured at 64 alone, SGLang at 8: what is asked at 8 stands on SGLang
    rows = [published(64, 3000, tpot_s=0.02), published(8, 300, tpot_s=0.025, engine="sglang")]
    point = model(*rows).at(LLAMA_70B, H200, "fp8", 2, 1000, 500, 8, settings=TUNED)
    assert isinstance(point, OperatingPoint)
    assert point.requests_per_second == pytest.approx(0.6)
    assert "in sglang" in point.source_detail


def test_no_published_row_asked_back_in_its_own_deployment_is_exceeded() -> None:
    engines = {"vllm": 1.0, "sglang": 1.2, "tensorrt-llm": 1.3}
    rows = [
        published(n, share * 40 * n, tpot_s=1 / 40 / share, engine=engine)
        for engine, share in engines.items()
        for n in (4, 16, 64)
    ]
    serving = model(*rows)
    for measured in rows:
        settings = DeploymentSettings(
            engine=measured.engine,
            tuning=None if measured.engine == "tensorrt-llm" else "tuned",
            kv_precision="auto",
        )
        n = measured.concurrency or 1.0
        found = serving.at(LLAMA_70B, H200, "fp8", 2, 1000, 500, n, settings=settings)
        assert isinstance(found, OperatingPoint)
        assert found.requests_per_second * 500 <= 1.001 * measured.output_tokens_per_second


def test_hardware_that_is_no_worse_but_slower_is_said_with_both_figures() -> None:
    small = gpu("h100", memory_gib=80, memory_bandwidth_gb_per_s=3350)
    rows = [published(142, 4500, gpu="h100", tpot_s=0.03)]
    serving = ServingModel(Catalog.of(gpus=[H200, small], llms=[LLAMA_70B], measurements=rows))
    better, worse = ask(serving, settings=TUNED), ask(serving, on=small, settings=TUNED)
    assert better.planned_requests_per_second < worse.planned_requests_per_second
    assert better.warnings[-1] == (
        f"h200 tp 2 is planned at {better.planned_requests_per_second:.3g} requests/s "
        f"(estimated), h100 tp 2 at {worse.planned_requests_per_second:.3g} ({worse.source})"
    )


def test_fewer_in_flight_that_serve_more_are_said_with_both_figures() -> None:
    serving = model(row(64, 2000, tpot_s=0.03), row(128, 1500, tpot_s=0.08))
    point = serving.at(LLAMA_70B, H200, "fp8", 2, 1000, 500, 128)
    assert isinstance(point, OperatingPoint)
    # planned at 0.94 of 4 and of 3 requests/s
    said = "64 in flight serve more, 3.76 requests/s planned beside 2.82"
    assert point.warnings == (said,)


def test_of_two_rows_at_one_point_the_newer_counts() -> None:
    old = row(8, 500, tpot_s=0.015, as_of=date(2025, 1, 1))
    new = row(8, 400, tpot_s=0.019)
    point = ask(model(new, old), tpot_limit_s=0.019)
    assert point.requests_per_second == pytest.approx(0.8)


def test_a_users_own_rows_go_before_faster_published_ones() -> None:
    own = row(8, 300, tpot_s=0.025, engine="")
    point = ask(model(published(8, 500, tpot_s=0.015), own), tpot_limit_s=0.025)
    assert point.requests_per_second == pytest.approx(0.6)


def test_own_rows_of_another_engine_are_measured_and_the_engine_is_named() -> None:
    point = ask(model(row(8, 300, tpot_s=0.025, engine="sglang")), tpot_limit_s=0.025)
    assert point.source == MEASURED
    assert point.warnings == ("own rows ran in sglang, the deployment says vLLM, default settings",)


def test_a_measured_ttft_binds() -> None:
    serving = model(row(4, 220, tpot_s=0.017, ttft_s=0.3), row(16, 700, tpot_s=0.0215, ttft_s=1.2))
    point = ask(serving, ttft_limit_s=0.6)
    assert 4 <= point.concurrency < 16
    assert point.ttft_measured
    assert point.ttft_s <= 0.6
    assert point.warnings == ()
    refused = ask(serving, ttft_limit_s=0.1)
    assert isinstance(refused, Rejection)
    assert refused.reason == "the fastest measured ttft 0.3 s is above the wished 0.1 s"


def test_an_endless_queue_stands_at_what_memory_holds_so_that_a_loose_wish_changes_nothing() -> (
    None
):
    serving = model(row(None, 5000, regime="offline_max"))
    point = ask(serving)
    assert (point.source, point.concurrency) == (MEASURED, 371)
    assert point.requests_per_second == pytest.approx(10)
    assert ask(serving, tpot_limit_s=10.0).planned_requests_per_second == pytest.approx(
        point.planned_requests_per_second
    )
    tight = ask(serving, tpot_limit_s=0.02)
    assert tight.concurrency < 371
    assert tight.requests_per_second < 10
    moved = ask(serving, size=(1500, 600))
    assert (moved.source, moved.evidence) == ("calibrated", INTERPOLATED)


@pytest.mark.parametrize("regime", ["static_batch", "burst_of_n_requests"])
def test_rows_of_other_regimes_are_not_used(regime: str) -> None:
    assert ask(model(row(8, 300, regime=regime, tpot_s=0.02))).source == ESTIMATED


def test_a_row_proves_that_a_replica_runs_where_the_reserve_says_it_does_not() -> None:
    # one H100 of 80 GiB: 72 − 67.66 GiB of weights are less than 1.7 + 1.75 + 3.06 GiB of reserve
    wide = LLAMA_70B.model_copy(update={"ffn_size": 28_672})
    h100 = gpu("h100", memory_gib=80, memory_bandwidth_gb_per_s=3350)
    rows = [row(2, 60, gpu="h100", tensor_parallel=1, tpot_s=0.033)]
    catalog = Catalog.of(gpus=[h100], llms=[wide], measurements=rows)
    point = ask(ServingModel(catalog), wide, on=h100, tp=1)
    assert (point.source, point.requests_per_second) == (MEASURED, pytest.approx(0.12))
    empty = ServingModel(Catalog.of(gpus=[h100], llms=[wide]))
    assert isinstance(ask(empty, wide, on=h100, tp=1), Rejection)


def test_rows_too_fast_for_plain_decoding_are_set_aside_unless_they_are_the_users() -> None:
    bare = model(llms=(DEEPSEEK,)).estimate(DEEPSEEK, H200, "fp8", 8, 1000, 500, TUNED)
    quick = bare.decode_step_s(8) / 1.6  # drafts make a step of 1.6 tokens
    fields = {"llm": "deepseek", "tensor_parallel": 8, "tpot_s": quick}
    rate = bare.output_tokens_per_second(8)
    others = [published(8, 1.2 * rate, **fields), published(8, rate, engine="sglang", **fields)]
    serving = model(*others[:1], llms=(DEEPSEEK,))
    point = ask(serving, DEEPSEEK, tp=8, settings=TUNED)
    assert point.source == ESTIMATED
    assert [str(found) for found in serving.set_aside()] == [
        "deepseek on h200 fp8 tp 8, vllm, 1000/500 tokens, 8 in flight set aside: "
        "too fast for plain decoding, and draft tokens are not stated"
    ]
    own = model(row(8, 1.2 * rate, **fields), llms=(DEEPSEEK,))
    assert ask(own, DEEPSEEK, tp=8, tpot_limit_s=quick).source == MEASURED
    assert list(own.set_aside()) == []


def test_rows_beyond_the_data_sheet_or_far_above_a_twin_are_set_aside_and_named() -> None:
    bare = model().estimate(LLAMA_70B, H200, "fp8", 2, 1000, 500, TUNED)
    rate = bare.output_tokens_per_second(64)
    impossible = published(64, 3 * rate, tpot_s=64 / 3 / rate, engine="tensorrt-llm")
    usual = published(64, rate, tpot_s=64 / rate)
    twin = published(64, 1.4 * rate, tpot_s=64 / 1.4 / rate, engine="sglang")
    serving = model(impossible, usual, twin)
    beyond, above = (str(found) for found in serving.set_aside())
    assert beyond.startswith("llama-70b on h200 fp8 tp 2, tensorrt-llm, 1000/500 tokens, 64 in")
    assert beyond.endswith("% of what the data sheet allows")
    assert above.endswith("set aside: 1.40 × its twin in vllm")
    point = serving.at(LLAMA_70B, H200, "fp8", 2, 1000, 500, 64, settings=TUNED)
    assert isinstance(point, OperatingPoint)
    assert point.requests_per_second == pytest.approx(rate / 500)


def test_an_llm_without_architecture_is_served_from_its_rows_alone() -> None:
    rows = [row(n, 100 * n, llm="boxed", tensor_parallel=1, tpot_s=0.01) for n in (4, 16)]
    serving = model(*rows, llms=(BOXED,))
    point = ask(serving, BOXED, tp=1, size=(1000, 500), tpot_limit_s=0.02)
    assert (point.source, point.bottleneck) == (MEASURED, "")
    assert point.requests_per_second == pytest.approx(16 * 100 / 500)
    missing = ask(serving, BOXED, tp=1, size=(9000, 500))
    assert isinstance(missing, Rejection)
    assert missing.reason.startswith(
        "no measured rate of boxed on h200, and not in the catalog: parameters_b of boxed"
    )


def test_rows_set_aside_for_one_reason_are_told_together() -> None:
    bare = model().estimate(LLAMA_70B, H200, "fp8", 2, 1000, 500, TUNED)
    rows = []
    for n, above in ((32, 1.4), (64, 1.6)):
        rate = bare.output_tokens_per_second(n)
        rows += [
            published(n, share * rate, tpot_s=n / share / rate, engine=engine)
            for engine, share in (("vllm", 0.9), ("sglang", 0.9 * above))
        ]
    serving = model(*rows)
    aside = [*serving.set_aside()]
    (said,) = told_together(aside)
    assert said == "2 rows set aside: 1.40 to 1.60 × a twin of another run at the same point"
    assert [*told_together(aside[:1])] == ["1 row set aside: 1.40 × its twin in vllm"]
    point = serving.at(LLAMA_70B, H200, "fp8", 2, 1000, 500, 64, settings=TUNED)
    assert isinstance(point, OperatingPoint)
    assert said.replace("rows", "rows of llama-70b on h200") in point.warnings
