"""The ladder measured > published > calibrated > estimated, its wishes, and what it warns of."""

from __future__ import annotations

import time
from math import exp

import pytest

from milp_planner.inputs.catalog.records import Measurement
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT
from milp_planner.serving.derate import (
    ESTIMATED,
    MEASURED,
)
from milp_planner.serving.rates.throughput import (
    OperatingPoint,
    Rejection,
    default_precisions,
)
from tests.support.serving.known_llms import LLAMA_70B
from tests.support.serving.replicas import (
    BOXED,
    H200,
    OTHER,
    ask,
    gpu,
    model,
    row,
)

# The estimate


def test_without_rows_the_rate_is_the_estimate_at_the_most_within_the_wish() -> None:
    serving = model()
    point = ask(serving, tpot_limit_s=0.04)
    estimate = serving.estimate(LLAMA_70B, H200, "fp8", 2, 1000, 500)
    n = int(point.concurrency)
    assert point.source == ESTIMATED == point.evidence
    assert estimate.tpot_s(n) <= 0.04 < estimate.tpot_s(n + 1)
    assert point.requests_per_second == estimate.requests_per_second(n)
    assert point.tpot_s == estimate.tpot_s(n)
    assert point.bottleneck in ("weights", "kv", "compute", "overhead")


def test_without_a_wish_memory_sets_the_concurrency() -> None:
    # tables 2 · 128,256 · 8192 · 2 B and 68.45 GB: 72.65 GB, 33.83 GiB each; 126.9 − 33.83 = 93.07
    # reserve 1.7 + 8192 · 2 B · 14 · 8192 (1.75 GiB) + 5 % of 93.07 (4.65) = 8.10: 84.96 GiB left
    # 1500 tokens · 160 KiB = 0.2289 GiB: 371
    assert ask(model()).concurrency == 371
    # 20,000 tokens take 3.05 GiB: 27
    assert ask(model(), size=(19_000, 1_000)).concurrency == 27


def test_the_planned_rate_is_the_rate_times_the_quantile_asked_for() -> None:
    serving = model()
    cautious, plain, even = (ask(serving, quantile=q) for q in (0.05, 0.10, 0.50))
    assert cautious.requests_per_second == plain.requests_per_second
    # √(1.125 · 0.08² + 0.18²) = 0.1991; t with 7 degrees of freedom is −1.4149 at 10 %
    assert plain.derate == pytest.approx(exp(-0.041 - 1.4149 * 0.1991), rel=1e-3)
    assert cautious.planned_requests_per_second < plain.planned_requests_per_second
    assert plain.planned_requests_per_second == plain.derate * plain.requests_per_second
    assert even.derate == pytest.approx(exp(-0.041))
    assert plain.error_band == pytest.approx(
        (exp(-0.041 - 1.8946 * 0.1991), exp(-0.041 + 1.8946 * 0.1991)), rel=1e-3
    )


def test_an_unreachable_tpot_is_rejected_with_the_fastest() -> None:
    serving = model()
    fastest = serving.estimate(LLAMA_70B, H200, "fp8", 2, 1000, 500).tpot_s(1)
    found = ask(serving, tpot_limit_s=0.002)
    assert isinstance(found, Rejection)
    assert found.fastest_tpot_s == fastest
    assert found.reason == (
        f"the fastest {1e3 * fastest:.1f} ms per token is above the wished 2 ms"
    )


def test_what_does_not_fit_is_rejected_with_the_memory_reason() -> None:
    found = ask(model(), on=gpu("small", memory_gib=24))
    assert isinstance(found, Rejection)
    assert found.reason == "weights 67.7 GiB do not fit in 2 × 21.6 GiB"


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
    at = model().at(LLAMA_70B, old, precision, 2, 1000, 500, 1)
    assert (at.reason if isinstance(at, Rejection) else "") == reason


def test_the_four_bit_format_of_nvidia_is_not_served_on_amd() -> None:
    amd = gpu("amd-box", vendor="amd", fp4_tflops=5000)
    said = "no engine serves nvfp4 on amd-box; mxfp4 is its 4-bit format"
    assert ask(model(), on=amd, precision="nvfp4").reason == said
    assert isinstance(ask(model(), on=amd, precision="mxfp4"), OperatingPoint)


def test_an_llm_in_bf16_is_served_in_fp16_where_the_gpu_has_no_bf16() -> None:
    assert default_precisions(LLAMA_70B, gpu(compute_capability=7.5, fp8_tflops=None)) == ("fp16",)
    assert default_precisions(LLAMA_70B, gpu(compute_capability=8.0, fp8_tflops=None)) == ("bf16",)
    # the same bytes at the same rate
    half = ask(model(), on=gpu("old", compute_capability=7.5), precision="fp16")
    assert half.requests_per_second == ask(model(), precision="bf16").requests_per_second


def test_an_unknown_precision_is_rejected_with_the_known_ones() -> None:
    found = ask(model(), precision="int3")
    assert isinstance(found, Rejection)
    assert found.reason.startswith("precision int3 is not one of bf16, fp16, fp8")


def test_the_estimate_warns_where_it_was_not_checked() -> None:
    serving = model(row(8, 300))
    assert ask(serving, OTHER, gpu("old"), tpot_limit_s=0.05).warnings == (
        "old has no measured relative: the estimate was not checked on it",
    )
    assert ask(serving, OTHER, tpot_limit_s=0.05).warnings == ()
    long = ask(serving, OTHER, tp=8, size=(40_000, 1_000))
    assert long.warnings == (
        "41,000 tokens a request are outside the checked range, at most 32,768",
        "the estimate is trusted less on h200: "
        "prompts beyond 16,384 tokens have few measured relatives",
    )


def test_a_ttft_wished_above_the_estimate_is_said_to_be_unverified() -> None:
    point = ask(model(row(8, 300)), OTHER, ttft_limit_s=0.09)
    assert isinstance(point, OperatingPoint)
    assert point.ttft_s == pytest.approx(0.08127, abs=1e-5)
    assert not point.ttft_measured
    assert point.warnings == ("ttft wish 0.09 s is not verified: no measured ttft",)


def test_a_ttft_wished_below_the_estimate_is_refused_with_both_numbers() -> None:
    refused = ask(model(row(8, 300)), OTHER, ttft_limit_s=0.08)
    assert isinstance(refused, Rejection)
    assert refused.reason == "the estimated ttft 0.0813 s is above the wished 0.08 s"


def test_a_replica_too_slow_in_both_wishes_names_the_one_that_it_misses_by_more() -> None:
    serving = model(row(8, 300))
    alone = serving.estimate(OTHER, H200, "fp8", 2, 1000, 500).tpot_s(1)
    # tpot is missed 1.1 and 2 times, the ttft 1.7 times
    little = ask(serving, OTHER, tpot_limit_s=0.9 * alone, ttft_limit_s=0.05)
    much = ask(serving, OTHER, tpot_limit_s=0.5 * alone, ttft_limit_s=0.05)
    assert "the estimated ttft" in little.reason
    assert "per token" in much.reason


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
    llm = LLAMA_70B.model_copy(update={"native_precision": native})
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
        start = time.process_time()
        for size in sizes:
            for tp in (1, 2, 4, 8):
                ask(serving, tp=tp, size=size, tpot_limit_s=0.05)
        return time.process_time() - start

    assert answer_all() < 3.0  # of the processor, about 0.25 s
    assert answer_all() < 0.5


@pytest.mark.parametrize("rows", [(), (row(8, 900.0), row(64, 3_000.0))])
def test_rates_at_many_numbers_in_flight_are_those_at_each(rows: tuple[Measurement, ...]) -> None:
    serving, numbers = model(*rows), (1, 2, 8, 31, 64, 371, 10_000)
    for precision, tp, settings in (
        ("fp8", 2, DEFAULT_DEPLOYMENT),
        ("bf16", 2, DEFAULT_DEPLOYMENT),
        ("fp8", 4, DEFAULT_DEPLOYMENT.model_copy(update={"max_sequences": 32})),
        ("fp8", 3, DEFAULT_DEPLOYMENT),  # heads cannot be split among three
    ):
        replica = LLAMA_70B, H200, precision, tp, 1000, 500
        how = {"quantile": 0.2, "settings": settings}
        each = (serving.at(*replica, n, **how) for n in numbers)
        assert serving.planned_rates(*replica, numbers, **how) == [
            one.planned_requests_per_second if isinstance(one, OperatingPoint) else None
            for one in each
        ]
