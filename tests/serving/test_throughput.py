"""The ladder measured > calibrated > estimated, the wishes it keeps, and what it warns of."""

from __future__ import annotations

import time
from datetime import date
from math import sqrt
from typing import Any

import pytest

from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm, Measurement
from milp_planner.serving.derate import (
    DERATES,
    ESTIMATED,
    INTERPOLATED,
    MEASURED,
    OTHER_TENSOR_PARALLEL,
    QUANTILES,
    SAME_REPLICA,
    derate,
    error_band,
    planning_quantile,
)
from milp_planner.serving.throughput import (
    OperatingPoint,
    Rejection,
    ServingModel,
    default_precisions,
)

DAY = date(2026, 1, 1)

LLAMA = Llm(
    id="llama-70b",
    parameters_b=70.552,
    layers=80,
    hidden_size=8192,
    attention_heads=64,
    kv_heads=8,
    head_dim=128,
    attention="GQA",
    vocabulary=128_256,
    context_tokens=131_072,
    source="test",
    as_of=DAY,
)
NEWER_LLAMA = LLAMA.model_copy(update={"id": "llama-70b-newer"})
OTHER = LLAMA.model_copy(update={"id": "other-60b", "parameters_b": 60.0})
DEEPSEEK = Llm(
    id="deepseek",
    parameters_b=671.025,
    active_parameters_b=37.551,
    layers=61,
    hidden_size=7168,
    attention_heads=128,
    attention="MLA",
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
    moe_layers=58,
    experts=256,
    experts_per_token=8,
    moe_ffn_size=2048,
    vocabulary=129_280,
    native_precision="fp8",
    source="test",
    as_of=DAY,
)
BOXED = Llm(id="boxed", recommended_memory_gib=80, source="test", as_of=DAY)


def gpu(name: str = "h200", **fields: Any) -> Gpu:
    given: dict[str, Any] = {
        "memory_gib": 141,
        "memory_bandwidth_gb_per_s": 4800,
        "bf16_tflops": 989,
        "fp8_tflops": 1978,
        "interconnect": "nvlink",
    }
    given |= {"vendor": "v", **fields}
    return Gpu(id=name, source="test", as_of=DAY, **given)


H200 = gpu()


def row(n: float | None, tokens_per_second: float, **fields: Any) -> Measurement:
    """A closed-loop row of llama-70b in fp8 on two H200, 1000 tokens in and 500 out."""
    given: dict[str, Any] = {
        "llm": "llama-70b",
        "gpu": "h200",
        "precision": "fp8",
        "tensor_parallel": 2,
        "engine": "vllm",
        "input_tokens": 1000,
        "output_tokens": 500,
        "concurrency": n,
        "source": "lab/bench",
        "as_of": DAY,
    }
    return Measurement(output_tokens_per_second=tokens_per_second, **{**given, **fields})


def model(*rows: Measurement, llms: tuple[Llm, ...] = (LLAMA,)) -> ServingModel:
    gpus = [H200, gpu("b200", fp4_tflops=9000, memory_bandwidth_gb_per_s=7700), gpu("old")]
    return ServingModel(Catalog.of(gpus=gpus, llms=[*llms, OTHER], measurements=rows))


def ask(serving: ServingModel, llm: Llm = LLAMA, on: Gpu = H200, **wishes: Any) -> Any:
    given: dict[str, Any] = {"tp": 2, "size": (1000, 500), "precision": "fp8", **wishes}
    tp, size, precision = given.pop("tp"), given.pop("size"), given.pop("precision")
    return serving.operating_point(llm, on, precision, tp, *size, **given)


# The estimate


def test_without_rows_the_rate_is_the_estimate_at_the_most_within_the_wish() -> None:
    serving = model()
    point = ask(serving, tpot_limit_s=0.04)
    estimate = serving.estimate(LLAMA, H200, "fp8", 2, 1000, 500)
    n = int(point.concurrency)
    assert point.source == ESTIMATED == point.evidence
    assert estimate.tpot_s(n) <= 0.04 < estimate.tpot_s(n + 1)
    assert point.requests_per_second == estimate.requests_per_second(n)
    assert point.tpot_s == estimate.tpot_s(n)
    assert point.bottleneck in ("weights", "kv", "compute", "overhead")


def test_without_a_wish_memory_sets_the_concurrency() -> None:
    # 126.9 − 32.85 − 6 = 88.05 GiB; 1500 tokens · 160 KiB = 0.2289 GiB: 384 fit, 256 count
    assert ask(model()).concurrency == 256
    # 20,000 tokens take 3.05 GiB: 28
    assert ask(model(), size=(19_000, 1_000)).concurrency == 28


def test_the_planned_rate_is_the_rate_times_the_quantile_asked_for() -> None:
    serving = model()
    cautious, plain, even = (ask(serving, quantile=q) for q in (0.05, 0.10, 0.50))
    assert cautious.requests_per_second == plain.requests_per_second
    assert plain.derate == 0.86
    assert cautious.planned_requests_per_second < plain.planned_requests_per_second
    assert plain.planned_requests_per_second == 0.86 * plain.requests_per_second
    assert even.planned_requests_per_second == 0.98 * even.requests_per_second
    assert plain.error_band == (0.82, 1.26)


def test_an_unreachable_tpot_is_rejected_with_the_fastest() -> None:
    serving = model()
    fastest = serving.estimate(LLAMA, H200, "fp8", 2, 1000, 500).tpot_s(1)
    found = ask(serving, tpot_limit_s=0.002)
    assert isinstance(found, Rejection)
    assert found.fastest_tpot_s == fastest
    assert found.reason == (
        f"the fastest {1e3 * fastest:.1f} ms per token is above the wished 2 ms"
    )


def test_what_does_not_fit_is_rejected_with_the_memory_reason() -> None:
    found = ask(model(), on=gpu("small", memory_gib=24))
    assert isinstance(found, Rejection)
    assert found.reason == "weights 65.7 GiB do not fit in 2 × 21.6 GiB"


def test_a_request_beyond_the_context_is_rejected() -> None:
    found = ask(model(), size=(131_000, 100))
    assert isinstance(found, Rejection)
    assert found.reason == "a request of 131,100 tokens exceeds the context of 131,072"


@pytest.mark.parametrize(
    ("precision", "capability", "reason"),
    [
        ("bf16", 7.5, "old has no bf16 (compute capability 7.5, 8.0 has it); fp16 runs there"),
        ("fp16", 7.0, ""),
        ("fp8", 7.0, "no engine serves fp8 on old (compute capability 7.0, 7.5 has it)"),
        ("fp8", 7.5, ""),  # unpacked to fp16, as on an A100
        ("mxfp4", 7.5, "no engine serves mxfp4 on old (compute capability 7.5, 8.0 has it)"),
        ("int4", 7.0, ""),
        ("bf16", 8.0, ""),
        ("bf16", None, ""),
    ],
)
def test_a_format_is_served_from_the_generation_that_has_it(
    precision: str, capability: float | None, reason: str
) -> None:
    old = gpu("old", compute_capability=capability, fp8_tflops=None)
    found = ask(model(), on=old, precision=precision)
    assert (found.reason if isinstance(found, Rejection) else "") == reason
    at = model().at(LLAMA, old, precision, 2, 1000, 500, 1)
    assert (at.reason if isinstance(at, Rejection) else "") == reason


def test_the_four_bit_format_of_nvidia_is_not_served_on_amd() -> None:
    amd = gpu("amd-box", vendor="amd", fp4_tflops=5000)
    said = "no engine serves nvfp4 on amd-box; mxfp4 is its 4-bit format"
    assert ask(model(), on=amd, precision="nvfp4").reason == said
    assert isinstance(ask(model(), on=amd, precision="mxfp4"), OperatingPoint)


def test_an_llm_in_bf16_is_served_in_fp16_where_the_gpu_has_no_bf16() -> None:
    assert default_precisions(LLAMA, gpu(compute_capability=7.5, fp8_tflops=None)) == ("fp16",)
    assert default_precisions(LLAMA, gpu(compute_capability=8.0, fp8_tflops=None)) == ("bf16",)
    # the same bytes at the same rate
    half = ask(model(), on=gpu("old", compute_capability=7.5), precision="fp16")
    assert half.requests_per_second == ask(model(), precision="bf16").requests_per_second


def test_an_unknown_precision_is_rejected_with_the_known_ones() -> None:
    found = ask(model(), precision="int3")
    assert isinstance(found, Rejection)
    assert found.reason.startswith("precision int3 is not one of bf16, fp16, fp8")


def test_the_estimate_warns_where_it_was_not_checked() -> None:
    serving = model(row(8, 300))
    assert ask(serving, LLAMA, gpu("old"), tpot_limit_s=0.05).warnings == (
        "old has no measured relative: the estimate was not checked on it",
    )
    assert ask(serving, OTHER, tpot_limit_s=0.05).warnings == ()
    long = ask(serving, OTHER, tp=8, size=(40_000, 1_000))
    assert long.warnings == (
        "41,000 tokens a request are outside the checked range, at most 32,768",
    )


def test_an_estimated_ttft_is_advice_and_never_a_gate() -> None:
    point = ask(model(row(8, 300)), OTHER, ttft_limit_s=1e-6)
    assert isinstance(point, OperatingPoint)
    assert point.ttft_s is not None
    assert not point.ttft_measured
    assert point.warnings == ("ttft wish 1e-06 s is not verified: no measured ttft",)


# Measured


def test_a_measured_point_is_returned_as_it_was_measured() -> None:
    # 8 requests in flight at 500 tokens each and 400 tokens/s: 0.8 requests/s
    serving = model(row(8, 400, tpot_s=0.019, ttft_s=0.4), row(4, 220, tpot_s=0.017, ttft_s=0.3))
    point = ask(serving, tpot_limit_s=0.019)
    assert point.source == MEASURED
    assert point.requests_per_second == pytest.approx(0.8)
    assert (point.concurrency, point.tpot_s) == (8, pytest.approx(0.019))
    assert (point.ttft_s, point.ttft_measured) == (pytest.approx(0.4), True)
    assert point.derate == 0.95
    assert point.source_detail == "2 rows of llama-70b in vllm, lab/bench, newest 2026-01-01"


def test_between_measured_concurrencies_the_ratio_to_the_estimate_is_interpolated() -> None:
    serving = model(row(4, 220, tpot_s=0.0175), row(16, 700, tpot_s=0.0215))
    estimate = serving.estimate(LLAMA, H200, "fp8", 2, 1000, 500)
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


def test_a_curve_is_carried_to_twice_its_end_as_calibrated() -> None:
    serving = model(row(16, 650, tpot_s=0.02))
    estimate = serving.estimate(LLAMA, H200, "fp8", 2, 1000, 500)
    point = ask(serving)
    assert (point.source, point.evidence) == ("calibrated", SAME_REPLICA)
    assert point.concurrency == 32
    ratio = 1.3 / estimate.requests_per_second(16)
    assert point.requests_per_second == pytest.approx(ratio * estimate.requests_per_second(32))


def test_rows_at_a_size_twice_away_move_along_the_estimate() -> None:
    serving = model(row(8, 400, tpot_s=0.019))
    here = serving.estimate(LLAMA, H200, "fp8", 2, 1500, 600)
    there = serving.estimate(LLAMA, H200, "fp8", 2, 1000, 500)
    at_8 = 0.019 * here.tpot_s(8) / there.tpot_s(8)
    point = ask(serving, size=(1500, 600), tpot_limit_s=at_8)
    assert (point.source, point.evidence) == ("calibrated", INTERPOLATED)
    n = 8
    assert point.concurrency == n
    moved = 0.8 * here.requests_per_second(n) / there.requests_per_second(n)
    assert point.requests_per_second == pytest.approx(moved)


def test_a_ttft_moved_from_one_other_size_is_advice_and_gates_nothing() -> None:
    serving = model(row(8, 400, tpot_s=0.019, ttft_s=1.0))
    here = serving.estimate(LLAMA, H200, "fp8", 2, 1500, 600)
    there = serving.estimate(LLAMA, H200, "fp8", 2, 1000, 500)
    point = ask(serving, size=(1500, 600), ttft_limit_s=0.5)
    assert point.ttft_s == pytest.approx(here.prefill_s / there.prefill_s)  # 1 s moved along
    assert not point.ttft_measured
    assert point.warnings == ("ttft wish 0.5 s is not verified: no measured ttft",)
    assert isinstance(ask(serving, ttft_limit_s=0.5), Rejection)  # at its own size it gates


def test_between_two_sizes_the_ratios_are_interpolated_in_their_logarithms() -> None:
    # measured ÷ estimated is 0.4 at 1000 tokens in and 1.6 at 4000; 2000 is halfway: 0.8
    bare = model()
    rows = []
    for tokens, ratio in ((1000, 0.4), (4000, 1.6)):
        estimate = bare.estimate(LLAMA, H200, "fp8", 2, tokens, 500)
        rate = ratio * estimate.output_tokens_per_second(16)
        rows.append(row(16, rate, input_tokens=tokens, tpot_s=estimate.tpot_s(16)))
    serving = model(*rows)
    here = serving.estimate(LLAMA, H200, "fp8", 2, 2000, 500)
    point = ask(serving, size=(2000, 500), tpot_limit_s=here.tpot_s(16))
    assert (point.source, point.evidence, point.concurrency) == (MEASURED, INTERPOLATED, 16)
    assert point.requests_per_second == pytest.approx(0.8 * here.requests_per_second(16))


def test_rows_far_from_the_size_calibrate_instead_of_measuring() -> None:
    # 8000 in is three doublings away from 1000
    serving = model(row(8, 200, tpot_s=0.03))
    point = ask(serving, size=(8000, 500), tpot_limit_s=0.1)
    there = serving.estimate(LLAMA, H200, "fp8", 2, 1000, 500)
    here = serving.estimate(LLAMA, H200, "fp8", 2, 8000, 500)
    assert (point.source, point.evidence) == ("calibrated", SAME_REPLICA)
    factor = 0.4 / there.requests_per_second(8)
    assert point.requests_per_second == pytest.approx(
        factor * here.requests_per_second(point.concurrency)
    )
    assert point.source_detail == (
        f"calibrated on the same replica: 1 row of llama-70b, {factor:.2f} × the estimate"
    )


def test_the_same_llm_and_gpu_calibrate_another_tensor_parallel() -> None:
    point = ask(model(row(8, 300, tpot_s=0.025)), tp=4, tpot_limit_s=0.05)
    assert (point.source, point.evidence) == ("calibrated", OTHER_TENSOR_PARALLEL)


@pytest.mark.parametrize(
    ("llm", "on", "precision"),
    [(OTHER, H200, "fp8"), (LLAMA, gpu("b200"), "fp8"), (LLAMA, H200, "bf16")],
    ids=["another LLM", "another GPU", "another precision"],
)
def test_farther_relatives_do_not_calibrate(llm: Llm, on: Gpu, precision: str) -> None:
    serving = model(row(8, 300, tpot_s=0.025))
    assert ask(serving, llm, on, precision=precision).source == ESTIMATED


def test_calibration_is_the_geometric_mean_of_measured_over_estimated() -> None:
    serving = model()
    estimates = {
        i: serving.estimate(LLAMA, H200, "fp8", 2, i, 500).output_tokens_per_second(8)
        for i in (200, 12_000)
    }
    rows = [row(8, 0.5 * estimates[200], input_tokens=200)]
    rows.append(row(8, 0.98 * estimates[12_000], input_tokens=12_000))
    calibrated = model(*rows)
    point = ask(calibrated, size=(1500, 100), tpot_limit_s=0.1)
    bare = calibrated.estimate(LLAMA, H200, "fp8", 2, 1500, 100)
    factor = point.requests_per_second / bare.requests_per_second(point.concurrency)
    assert factor == pytest.approx(0.7)  # √(0.5 · 0.98)


def test_llms_of_one_architecture_share_their_rows() -> None:
    serving = model(row(8, 400, tpot_s=0.019), llms=(LLAMA, NEWER_LLAMA))
    point = ask(serving, NEWER_LLAMA, tpot_limit_s=0.019)
    assert point.source == MEASURED
    assert "1 row of llama-70b in vllm," in point.source_detail


def test_the_better_engine_is_planned_and_engines_are_not_mixed() -> None:
    slow = [row(n, 30 * n, tpot_s=0.03, engine="slow") for n in (4, 8)]
    fast = [row(n, 40 * n, tpot_s=0.022, engine="fast") for n in (4, 8)]
    point = ask(model(*slow, *fast), tpot_limit_s=0.03)
    assert point.requests_per_second >= 8 * 40 / 500
    assert point.source_detail.startswith("2 rows")


def test_of_two_rows_at_one_point_the_newer_counts() -> None:
    old = row(8, 500, tpot_s=0.015, as_of=date(2025, 1, 1))
    new = row(8, 400, tpot_s=0.019)
    point = ask(model(new, old), tpot_limit_s=0.019)
    assert point.requests_per_second == pytest.approx(0.8)


def test_a_users_own_rows_go_before_faster_published_ones() -> None:
    published = row(8, 500, tpot_s=0.015)
    own = row(8, 300, tpot_s=0.025, engine="", override=True)
    point = ask(model(published, own), tpot_limit_s=0.025)
    assert point.requests_per_second == pytest.approx(0.6)


def test_a_measured_ttft_binds() -> None:
    serving = model(row(4, 220, tpot_s=0.017, ttft_s=0.3), row(16, 700, tpot_s=0.0215, ttft_s=1.2))
    point = ask(serving, ttft_limit_s=0.6)
    assert 4 <= point.concurrency < 16
    assert point.ttft_measured
    assert point.ttft_s <= 0.6
    assert point.warnings == ()
    refused = ask(serving, ttft_limit_s=0.1)
    assert isinstance(refused, Rejection)
    assert refused.reason == "the fastest measured ttft 0.30 s is above the wished 0.1 s"


def test_an_endless_queue_gives_a_rate_only_where_no_tpot_is_wished() -> None:
    serving = model(row(None, 5000, regime="offline_max"))
    point = ask(serving)
    assert (point.source, point.tpot_s, point.concurrency) == (MEASURED, None, None)
    assert point.requests_per_second == pytest.approx(10)
    assert ask(serving, tpot_limit_s=0.05).source == ESTIMATED
    moved = ask(serving, size=(1500, 600))
    assert (moved.source, moved.evidence) == ("calibrated", INTERPOLATED)


def test_a_wish_for_latency_is_not_planned_beyond_what_an_endless_queue_was_served() -> None:
    # 500 tokens/s are a request/s, planned at 0.95 of it; the estimate alone says far more.
    serving = model(row(None, 500, regime="offline_max"))
    free, wished = ask(serving), ask(serving, tpot_limit_s=0.05)
    assert free.planned_requests_per_second == pytest.approx(0.95)
    assert ask(model(), tpot_limit_s=0.05).planned_requests_per_second > 2 * 0.95
    assert wished.source == ESTIMATED
    assert 0.5 * 0.95 < wished.planned_requests_per_second <= 0.95
    assert wished.warnings[-1] == (
        "kept to 0.95 requests/s: a replica was measured with an endless queue"
    )


@pytest.mark.parametrize("regime", ["static_batch", "burst_of_n_requests"])
def test_rows_of_other_regimes_are_not_used(regime: str) -> None:
    assert ask(model(row(8, 300, regime=regime, tpot_s=0.02))).source == ESTIMATED


def test_a_row_proves_that_a_replica_runs_where_the_reserve_says_it_does_not() -> None:
    # one H100 of 80 GiB keeps 0.3 GiB beside 70 GB of weights; somebody ran it all the same
    h100 = gpu("h100", memory_gib=80, memory_bandwidth_gb_per_s=3350)
    rows = [row(2, 60, gpu="h100", tensor_parallel=1, tpot_s=0.033)]
    catalog = Catalog.of(gpus=[h100], llms=[LLAMA], measurements=rows)
    point = ask(ServingModel(catalog), on=h100, tp=1)
    assert (point.source, point.requests_per_second) == (MEASURED, pytest.approx(0.12))
    empty = ServingModel(Catalog.of(gpus=[h100], llms=[LLAMA]))
    assert isinstance(ask(empty, on=h100, tp=1), Rejection)


def test_rows_too_fast_for_plain_decoding_are_set_aside_unless_they_are_the_users() -> None:
    serving = model(llms=(DEEPSEEK,))
    estimate = serving.estimate(DEEPSEEK, H200, "fp8", 8, 1000, 500)
    fast = 2 * estimate.output_tokens_per_second(8)
    fields = {"llm": "deepseek", "tensor_parallel": 8, "tpot_s": estimate.tpot_s(8) / 2}
    published = model(
        row(8, fast, **fields), row(8, fast / 2, engine="b", **fields), llms=(DEEPSEEK,)
    )
    point = ask(published, DEEPSEEK, tp=8, tpot_limit_s=estimate.tpot_s(8) / 2)
    assert point.requests_per_second == pytest.approx(fast / 2 / 500)
    assert point.warnings == (
        "1 row of deepseek on h200 with vllm set aside: "
        "too fast for plain decoding, and speculative decoding is not modelled",
    )
    own = model(row(8, fast, override=True, **fields), llms=(DEEPSEEK,))
    kept = ask(own, DEEPSEEK, tp=8, tpot_limit_s=estimate.tpot_s(8) / 2)
    assert kept.requests_per_second == pytest.approx(fast / 500)


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


# Raw rates


def raw(llm: str, tokens_per_second: float) -> Measurement:
    fields = {"input_tokens": None, "output_tokens": None, "tensor_parallel": 1, "precision": ""}
    return row(None, tokens_per_second, llm=llm, basis="raw", **fields)


def test_a_raw_rate_counts_all_tokens_times_efficiency_and_batching() -> None:
    # 15,000 · 0.85 · 1.25 = 15,937.5 tokens/s; 1500 tokens a request
    serving = model(raw("boxed", 15_000), llms=(BOXED,))
    point = ask(serving, BOXED, tp=1, raw_multiplier=0.85 * 1.25)
    assert point.source == "raw"
    assert point.planned_requests_per_second == pytest.approx(15_937.5 / 1500)
    assert (point.tpot_s, point.derate) == (None, 1.0)


def test_the_rate_for_any_llm_serves_those_without_their_own() -> None:
    serving = model(raw("*", 8_000), raw("own", 20_000), llms=(BOXED,))
    assert ask(serving, BOXED, tp=1).requests_per_second == pytest.approx(8_000 / 1500)
    own = BOXED.model_copy(update={"id": "own"})
    assert ask(serving, own, tp=1).requests_per_second == pytest.approx(20_000 / 1500)


def test_a_raw_rate_says_that_it_has_no_latency() -> None:
    point = ask(model(raw("*", 8_000), llms=(BOXED,)), BOXED, tp=1, tpot_limit_s=0.05)
    assert point.warnings == ("tpot wish 50 ms is not verified: a raw rate has no latency",)


def test_a_tpot_wish_is_answered_by_the_estimate_rather_than_by_a_raw_rate() -> None:
    serving = model(raw("llama-70b", 8_000))
    assert ask(serving).source == "raw"
    assert ask(serving, tpot_limit_s=0.05).source == ESTIMATED


# Quantiles


def test_a_confidence_of_p90_plans_on_the_tenth_percentile() -> None:
    assert planning_quantile(0.90) == 0.10
    assert planning_quantile(0.50) == 0.50


def test_quantiles_between_the_tabulated_ones_are_interpolated() -> None:
    # halfway between 0.10 and 0.25
    middle = (derate(ESTIMATED, True, 0.10) + derate(ESTIMATED, True, 0.25)) / 2
    assert derate(ESTIMATED, True, 0.175) == pytest.approx(middle)
    assert derate(ESTIMATED, True, 0.001) == error_band(ESTIMATED, True)[0]
    assert derate(ESTIMATED, True, 0.999) == error_band(ESTIMATED, True)[1]


@pytest.mark.parametrize("kind", DERATES, ids=str)
def test_every_derate_table_rises_with_the_quantile(kind: tuple[str, bool]) -> None:
    assert len(DERATES[kind]) == len(QUANTILES)
    assert list(DERATES[kind]) == sorted(DERATES[kind])


def test_experts_are_derated_more_than_dense_llms() -> None:
    assert derate(ESTIMATED, True, 0.1) < derate(ESTIMATED, False, 0.1)


# Precision and speed


@pytest.mark.parametrize(
    ("native", "fp8", "found"),
    [
        ("bf16", 1978, ("bf16", "fp8")),
        ("fp16", 1978, ("bf16", "fp8")),
        ("bf16", None, ("bf16",)),
        ("fp8", 1978, ("fp8",)),
        ("mxfp4", 1978, ("mxfp4",)),
    ],
)
def test_the_llms_own_precision_and_fp8_where_it_saves_memory(
    native: str, fp8: float | None, found: tuple[str, ...]
) -> None:
    llm = LLAMA.model_copy(update={"native_precision": native})
    assert default_precisions(llm, gpu(fp8_tflops=fp8)) == found


def test_fp16_rows_and_wishes_are_those_of_bf16() -> None:
    serving = model(row(8, 200, precision="fp16", tpot_s=0.03))
    assert ask(serving, precision="bf16", tpot_limit_s=0.03).source == MEASURED


def test_an_answer_asked_for_again_is_the_same_object() -> None:
    serving = model(row(8, 400, tpot_s=0.019))
    assert ask(serving, tpot_limit_s=0.03) is ask(serving, tpot_limit_s=0.03)


def test_a_thousand_answers_take_a_fraction_of_a_second() -> None:
    serving = model(*(row(n, 40 * n, tpot_s=0.02) for n in (4, 16, 64)))
    sizes = [(100 + i, 50 + i) for i in range(250)]

    def answer_all() -> float:
        start = time.perf_counter()
        for size in sizes:
            for tp in (1, 2, 4, 8):
                ask(serving, tp=tp, size=size, tpot_limit_s=0.05)
        return time.perf_counter() - start

    assert answer_all() < 1.0  # about 0.05 s; the margin is for a busy machine
    assert answer_all() < 0.1
