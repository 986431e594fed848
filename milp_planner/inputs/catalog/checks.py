"""What is checked of catalog rows beyond the type of each cell.

To add a check, write a function from `Rows` to findings and list it in `CHECKS`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from operator import attrgetter
from statistics import median
from typing import Any, NamedTuple

from milp_planner.errors import Fault, did_you_mean
from milp_planner.inputs.catalog.evidence.ran_in import joined_faults
from milp_planner.inputs.catalog.identity.names import did_you_mean_llm, gpu_spelling
from milp_planner.inputs.catalog.llm_checks import llm_faults
from milp_planner.inputs.catalog.records import (
    Catalog,
    Gpu,
    Llm,
    Measurement,
    Offering,
    Sourced,
    TokenPrice,
)
from milp_planner.lazily import dataclass
from milp_planner.units import usd_shown

FARTHEST_FROM_MEDIAN = 6.0
"""A price per GPU this far from its GPU's median looks like a mistake: units have up to 8 GPUs."""

SLACK = 1.10
"""Data sheets of one GPU differ by 4 % in bandwidth; only what is clearly above is refused."""

LATENCY_SLACK = 1.25
"""A published tpot may be a median, which lies below the mean that the bound is about."""

LEAST_BYTES_PER_PARAMETER = {
    "bf16": 2.0,
    "fp16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    "mxfp4": 0.5,
    "nvfp4": 0.5,
    "int4": 0.5,
    "fp32": 4.0,
}
"""Bytes per weight without scales: the least that a decode step can read."""

REGIMES = {
    "fixed_concurrency": "closed loop at a fixed number of requests: latency is usable",
    "static_batch": "one batch from start to end",
    "burst_of_n_requests": "n requests at once: the time to first token is queueing",
    "offline_max": "endless queue",
    "online_qps": "arrivals at a fixed rate, below capacity",
}
NEEDS_CONCURRENCY = {"fixed_concurrency", "static_batch", "burst_of_n_requests"}

PRICE_CLASSES = {
    "dedicated": "on demand",
    "autoscaling": "on demand",
    "reserved_1y": "reserved",
    "reserved_3y": "reserved",
    "committed": "reserved",
    "spot": "spot",
}
"""Billings whose prices are compared with one another; owned machines are compared with none."""


class Row(NamedTuple):
    """A record and where it was read; a tuple, as there are hundreds of thousands."""

    file: str
    line: int
    record: Any


@dataclass(frozen=True)
class Rows:
    """The rows of one layer, with the catalog that they and the layers below make."""

    added: Mapping[str, list[Row]]
    """By file name."""

    catalog: Catalog
    last_day: date


PRICE_HINT = (
    "usd_per_hour is the price of a whole unit of gpus_per_unit GPUs; "
    "if it is right, write true under price_acknowledged"
)

Finding = tuple[Row, str, str, str]
"""Row, column, message and hint."""


def faults_of(rows: Rows) -> Iterator[Fault]:
    """Every fault that `CHECKS` find, in the order of the checks."""
    for check in CHECKS:
        for row, column, message, hint in check(rows):
            yield Fault(row.file, row.line, 0, column, message, hint)


def unknown_gpu(catalog: Catalog, name: str) -> str:
    """Why `name` is not a GPU id: it stands for several, or for none."""
    several = catalog.gpus_named(name)
    if several:
        return f"{name!r} is ambiguous; write {' or '.join((', '.join(several[:-1]), several[-1]))}"
    near = did_you_mean(gpu_spelling(name), {*catalog.gpus, *catalog.gpu_aliases})
    return f"{name!r} is not in the catalog{near}"


def unknown_llm(catalog: Catalog, name: str) -> str:
    """Why `name` is not an LLM id."""
    near = did_you_mean_llm(name, catalog.llms)
    return f"{name!r} is not in the catalog{near}"


def unavailable(rows: Sequence[Row]) -> str:
    """What is said of rows that have no price, all of one file."""
    lines = [str(row.line) for row in rows]
    shown = ", ".join(lines[:5]) + (", …" if len(lines) > 5 else "")
    return f"{rows[0].file}: {len(rows)} unavailable for want of a price (line {shown})"


def called(record: Any) -> str:
    """What a reader calls a row."""
    if isinstance(record, Offering | TokenPrice):
        return f"{record.id!r} billed {record.billing}"
    if isinstance(record, Measurement):
        return f"this measurement of {record.llm!r} on {record.gpu!r}"
    return repr(record.id)


# --- Checks -----------------------------------------------------------------------------------


def dates_in_the_future(rows: Rows) -> Iterator[Finding]:
    """No source said anything tomorrow."""
    last_day = rows.last_day
    for table in rows.added.values():
        for row in table if table and isinstance(table[0].record, Sourced) else ():
            if row.record.as_of > last_day:
                text = f"{row.record.as_of} is in the future (today is {last_day})"
                yield row, "as_of", text, ""


def llms_against_themselves(rows: Rows) -> Iterator[Finding]:
    """Parameters, shapes, experts and caches of one LLM fit together (`llm_checks.py`)."""
    for row in rows.added.get("llms.csv", ()):
        for column, message, hint in llm_faults(row.record):
            yield row, column, message, hint


def prices_far_from_the_median(rows: Rows) -> Iterator[Finding]:
    """Price per GPU within 6 times its GPU's median: catches a node price entered as a GPU price.

    The median is over providers, each with the median of its own offerings, so that a provider
    with many regions has one voice. On-demand, reserved and spot prices have medians of their own.
    """
    medians = _median_prices(rows.catalog)
    for row in rows.added.get("offerings.csv", ()):
        offering: Offering = row.record
        group = offering.gpu, PRICE_CLASSES.get(offering.billing, "")
        is_meant = offering.price_acknowledged or not offering.usd_per_hour
        if group not in medians or is_meant:
            continue
        usual, providers = medians[group]
        ratio = offering.usd_per_gpu_hour / usual
        if not 1 / FARTHEST_FROM_MEDIAN <= ratio <= FARTHEST_FROM_MEDIAN:
            text = (
                f"{usd_shown(offering.usd_per_gpu_hour, 2)} per GPU is {ratio:.2g} times the "
                f"median of {usd_shown(usual, 2)} for {group[0]} {group[1]} ({providers} providers)"
            )
            yield row, "usd_per_hour", text, PRICE_HINT


def _median_prices(catalog: Catalog) -> dict[tuple[str, str], tuple[float, int]]:
    """(GPU, price class) to median USD per GPU and hour, and the number of providers."""
    prices: dict[tuple[str, str], dict[str, list[float]]] = {}
    for o in catalog.offerings:
        if o.billing in PRICE_CLASSES and o.usd_per_hour:
            group = prices.setdefault((o.gpu, PRICE_CLASSES[o.billing]), {})
            group.setdefault(o.provider, []).append(o.usd_per_gpu_hour)
    return {
        key: (median(median(own) for own in by_provider.values()), len(by_provider))
        for key, by_provider in prices.items()
    }


def free_without_a_count(rows: Rows) -> Iterator[Finding]:
    """What costs nothing is what is paid already, of which there are so many."""
    for name, column in FREE.items():
        for row in rows.added.get(name, ()):
            if getattr(row.record, column) == 0 and (message := why_not_free(row.record)):
                yield row, column, message, ""


FREE = {
    "offerings.csv": "usd_per_hour",
    "owned.csv": "purchase_usd",
    "token_prices.csv": "usd_per_m_output_tokens",
}
"""The price that may be 0 in each file where it is stated how much there is."""


def why_not_free(row: Any) -> str:
    """Why a row may not cost nothing; '' where it may."""
    if isinstance(row, TokenPrice):
        limit = row.max_requests_per_minute
        return "" if limit is not None else f"0 {UNLIMITED_TOKENS}"
    if getattr(row, "billing", "") == "spot":
        return "0 is the price of units that are paid already, and spot is not"
    return "" if row.max_units is not None else f"0 {UNLIMITED_UNITS}"


UNLIMITED_TOKENS = (
    "is the price of what an account may have for nothing; say how much that is under "
    "max_requests_per_minute"
)
UNLIMITED_UNITS = (
    "is the price of units that are paid already; say how many there are under max_units, or write "
    "what they are listed at, and in the problem "
    "commitments: [{offering: PROVIDER/NAME/REGION, units: 2, until: 2027-12-31}]"
)


def terms_as_billed(rows: Rows) -> Iterator[Finding]:
    """A commitment says for how long; no other billing says it beside its name."""
    for row in rows.added.get("offerings.csv", ()):
        offering: Offering = row.record
        if offering.billing == "committed" and offering.term_months is None:
            yield row, "term_months", "required: how many months a committed unit is paid", ""
        elif offering.billing != "committed" and offering.term_months is not None:
            text = f"goes with billing committed; this row is billed {offering.billing}"
            yield row, "term_months", text, ""


def incomplete_measurements(rows: Rows) -> Iterator[Finding]:
    """A measured rate needs its request shape, its concurrency, and names that are understood."""
    for row in _measurements(rows):
        m: Measurement = row.record
        if m.basis == "raw":
            continue
        if m.regime not in REGIMES:
            known = ", ".join(REGIMES)
            yield row, "regime", f"{m.regime!r} is not one of {known}", ""
        if m.precision not in LEAST_BYTES_PER_PARAMETER:
            known = ", ".join(LEAST_BYTES_PER_PARAMETER)
            yield row, "precision", f"{m.precision!r} is not one of {known}", ""
        if m.concurrency is None and m.regime in NEEDS_CONCURRENCY:
            yield row, "concurrency", "required, a throughput means nothing without it", ""
        for column in ("input_tokens", "output_tokens"):
            if getattr(m, column) is None:
                yield row, column, "required, a throughput means nothing without it", ""
        if m.llm == "*":
            yield row, "llm", "'*' is for raw rows; name the LLM that was measured", ""


def replicas_not_spread(rows: Rows) -> Iterator[Finding]:
    """A replica of several units has whole stages and as many GPUs in each unit."""
    for row in _measurements(rows):
        m: Measurement = row.record
        for column, message in joined_faults(
            *m.joined, m.tensor_parallel, m.gb_per_s_between_units
        ):
            yield row, column, message, ""


def impossible_throughputs(rows: Rows) -> Iterator[Finding]:
    """A measured rate below what the silicon can do."""
    for row in _measurements(rows):
        m: Measurement = row.record
        bound = most_tokens_per_second(m, rows.catalog)
        if bound is not None and m.output_tokens_per_second > SLACK * bound[0]:
            rate = f"{m.output_tokens_per_second:,.6g}"
            text = f"{rate} is above the physical bound of {bound[0]:,.0f}: {bound[1]}"
            hint = "it counts the generated tokens of one replica, not those of the prompts"
            yield row, "output_tokens_per_second", text, hint


def contradictory_latencies(rows: Rows) -> Iterator[Finding]:
    """A time that the row's own throughput leaves no room for; often it is in milliseconds."""
    for row in _measurements(rows):
        for column, text, hint in latency_contradictions(row.record):
            yield row, column, text, hint


def latency_contradictions(m: Measurement) -> Iterator[tuple[str, str, str]]:
    """(column, message, hint) of each time that contradicts the rate with n in flight.

    n sequences that each take tpot for a token give at most n ÷ tpot tokens/s; and with n in flight
    a request takes n · output ÷ rate in all, of which ttft is the beginning (Little's law).
    """
    n, rate = m.concurrency, m.output_tokens_per_second
    if n is None or m.regime != "fixed_concurrency":
        return
    if m.tpot_s is not None and rate > LATENCY_SLACK * n / m.tpot_s:
        text = (
            f"{m.tpot_s:g} s per token lets {n:g} requests give "
            f"{n / m.tpot_s:,.3g} tokens/s, not {rate:,.6g}"
        )
        yield "tpot_s", text, _in_seconds(m.tpot_s)
    whole_s = n * (m.output_tokens or 1.0) / rate
    if m.ttft_s is not None and m.ttft_s > LATENCY_SLACK * whole_s:
        text = (
            f"{m.ttft_s:g} s to the first token is more than the {whole_s:,.3g} s that a whole "
            f"request takes with {n:g} in flight at {rate:,.6g} tokens/s"
        )
        yield "ttft_s", text, _in_seconds(m.ttft_s)


def _in_seconds(time_s: float) -> str:
    return f"times are in seconds; did you mean {time_s:g}ms, {time_s / 1000:g} s?"


def most_tokens_per_second(m: Measurement, catalog: Catalog) -> tuple[float, str] | None:
    """The most output tokens/s that a replica can generate, and why; None where unknown.

    A decode step gives each of n sequences one token and reads every active weight at least once:
        X ≤ n · tp · BW / (P · b),   and   X ≤ tp · F / (2 · P)   [tokens/s]
    with P the active parameters except the input embedding, b bytes each, BW and F dense peaks.
    """
    llm, gpu = catalog.llms.get(m.llm), catalog.gpus.get(m.gpu)
    if m.basis == "raw" or llm is None or gpu is None or llm.active_parameters_b is None:
        return None
    parameters = llm.active_parameters_b * 1e9 - _input_embedding(llm)
    by_memory = by_compute = math.inf
    step_bytes = parameters * LEAST_BYTES_PER_PARAMETER.get(m.precision, 0.0)
    if gpu.memory_bandwidth_gb_per_s and m.concurrency and step_bytes:
        per_sequence = m.gpus * gpu.memory_bandwidth_gb_per_s * 1e9 / step_bytes
        by_memory = m.concurrency * per_sequence
    peak_tflops = _highest_peak(m.precision, gpu)
    if peak_tflops:
        by_compute = m.gpus * peak_tflops * 1e12 / (2 * parameters)
    most = min(by_memory, by_compute)
    if most == math.inf:
        return None
    if most == by_memory:
        step = f"each step reads at least {step_bytes / 1e9:.1f} GB of weights"
        return most, f"{m.concurrency:g} requests in flight, and {step}"
    return most, f"{2 * parameters / 1e9:.1f} GFLOP per token at {peak_tflops:g} TFLOPS per GPU"


def _input_embedding(llm: Llm) -> float:
    """Parameters of which a step reads a few rows only; tied ones are read as output layer."""
    return 0.0 if llm.tied_embeddings else llm.vocabulary * (llm.hidden_size or 0)


def _highest_peak(precision: str, gpu: Gpu) -> float | None:
    """The fastest unit that could compute in that format, TFLOPS; None when one is unknown."""
    if gpu.bf16_tflops is None:
        return None
    if precision in ("fp32", "bf16", "fp16"):
        return gpu.bf16_tflops
    peaks = [gpu.bf16_tflops, gpu.fp8_tflops, gpu.int8_tops, gpu.fp4_tflops]
    return max(peak for peak in peaks if peak is not None)


def _measurements(rows: Rows) -> list[Row]:
    return rows.added.get("measurements.csv", [])


CHECKS = (
    dates_in_the_future,
    llms_against_themselves,
    prices_far_from_the_median,
    free_without_a_count,
    terms_as_billed,
    incomplete_measurements,
    replicas_not_spread,
    impossible_throughputs,
    contradictory_latencies,
)


def _llms_named(catalog: Catalog, name: str) -> tuple[str, ...]:
    llm = catalog.llm(name)
    return (llm.id,) if llm else ()


NAMES: dict[str, Any] = {
    "gpu": (attrgetter("gpus"), Catalog.gpus_named, unknown_gpu),
    "llm": (attrgetter("llms"), _llms_named, unknown_llm),
}
"""Columns that name something: the ids, the ids that a name may stand for, why it is unknown."""
