"""Estimates of single deployments: a few lines for one, a table for several, JSON and CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from milp_planner.plans.document import clean
from milp_planner.questions.deployments.estimate import Estimate
from milp_planner.reporting.documents.csv import to_csv
from milp_planner.reporting.text.wording import (
    columns,
    count,
    duration,
    escape,
    number,
    percent,
    plural,
    usd_per_million,
)
from milp_planner.serving.derate import DEFAULT_QUANTILE
from milp_planner.serving.rates.throughput import NOT_MODELLED

Row = Mapping[str, Any]


def estimates_text(estimates: Sequence[Estimate], quantile: float = DEFAULT_QUANTILE) -> str:
    """One deployment in a few lines, several as a table with the reasons below it."""
    lines = _one(estimates[0], quantile) if len(estimates) == 1 else _table(estimates)
    return "\n".join(lines) + "\n"


def estimate_dict(e: Estimate) -> dict[str, Any]:
    """One estimate as a flat row of strings and numbers; the columns of CSV."""
    low, high = e.error_band or (None, None)
    return clean(
        {
            "llm": e.llm,
            "gpu": e.gpu,
            "precision": e.precision,
            "tensor_parallel": e.tensor_parallel,
            "input_tokens": e.input_tokens,
            "output_tokens": e.output_tokens,
            "concurrency": e.concurrency,
            "deployment": e.deployment,
            "verdict": e.verdict,
            "reason": e.reason,
            "weights_gib_per_gpu": e.weights_gib,
            "kv_gib_per_gpu": e.kv_gib,
            "reserve_gib_per_gpu": e.reserve_gib,
            "needed_gib_per_gpu": e.needed_gib,
            "usable_gib_per_gpu": e.usable_gib,
            "sequences": e.sequences,
            "smallest_that_fits": e.smallest,
            "ttft_s": e.ttft_s,
            "ttft_measured": e.ttft_measured,
            "tpot_s": e.tpot_s,
            "latency_s": e.latency_s,
            "output_tokens_per_second": e.output_tokens_per_second,
            "requests_per_second": e.requests_per_second,
            "source": e.source,
            "source_detail": e.source_detail,
            "derate": e.derate,
            "error_p5": low,
            "error_p95": high,
            "bottleneck": e.bottleneck,
            "mbu": e.mbu,
            "mfu": e.mfu,
            "usd_per_hour": e.price.usd_per_hour if e.price else None,
            "price_of": e.price.label if e.price else "",
            "usd_per_request": e.usd_per_request,
            "usd_per_million_output_tokens": e.usd_per_million_output_tokens,
            "usd_per_million_tokens": e.usd_per_million_tokens,
            "warnings": "; ".join(e.warnings),
        }
    )


def estimates_dict(estimates: Sequence[Estimate]) -> dict[str, Any]:
    """All estimates as one document."""
    rows = [{**estimate_dict(e), "warnings": list(e.warnings)} for e in estimates]
    return {"estimates": rows, "not_modelled": list(NOT_MODELLED)}


def estimates_csv(estimates: Sequence[Estimate]) -> str:
    """A header and one row per estimate."""
    rows = [estimate_dict(e) for e in estimates]
    return to_csv(rows[0], rows)


def _one(e: Estimate, quantile: float) -> list[str]:
    return [
        _what(e),
        _memory(e),
        *_speed(e, quantile),
        *_costs(e),
        f"Not modelled: {', '.join(NOT_MODELLED)}.",
    ]


def _what(e: Estimate) -> str:
    size = f"{e.input_tokens:g}/{e.output_tokens:g} tokens"
    n = e.concurrency
    flight = "" if n is None else f", {plural(round(n), 'request')} in flight"
    return f"{_replica(e)}, {size}{flight}; {escape(e.deployment)}"


def _replica(e: Estimate) -> str:
    return f"{escape(e.llm)} {escape(e.precision)} on {e.tensor_parallel} x {escape(e.gpu)}"


def _memory(e: Estimate) -> str:
    if e.needed_gib is None or e.usable_gib is None:
        smallest = f"; the smallest that fits: {escape(e.smallest)}" if e.smallest else ""
        return f"{e.verdict}: {escape(e.reason)}{smallest}"
    parts = [f"weights {e.weights_gib:.1f}", f"KV {e.kv_gib:.1f}", f"reserve {e.reserve_gib:.1f}"]
    share = " on each GPU" if e.tensor_parallel > 1 else ""
    total = f"{e.needed_gib:.1f} of {e.usable_gib:.1f} GiB{share}"
    unserved = "not served: " if e.verdict == "fits" else ""
    why = f"      {unserved}{escape(e.reason)}" if e.reason else f"      n_max {e.sequences}"
    why += f"; the smallest that fits: {escape(e.smallest)}" if e.smallest else ""
    return f"{e.verdict}: {' + '.join(parts)} = {total}{why}"


def _speed(e: Estimate, quantile: float) -> Iterator[str]:
    if e.requests_per_second is None or e.output_tokens_per_second is None:
        return
    words = [] if e.tpot_s is None else [f"tpot {duration(e.tpot_s)}"]
    words.append(
        f"throughput {_whole(e.output_tokens_per_second)} tok/s "
        f"({number(e.requests_per_second)} req/s)"
    )
    words += [f"bottleneck {escape(e.bottleneck)}"] if e.bottleneck else []
    words += [f"MBU {percent(e.mbu)}"] if e.mbu is not None else []
    words += [f"MFU {percent(e.mfu)}"] if e.mfu is not None else []
    yield f"{'  '.join(words)}      {escape(e.source)}, p{100 * quantile:g} {e.derate or 1:.2f}"
    if e.ttft_s is not None:
        known = "measured" if e.ttft_measured else "advice, not measured"
        whole = "" if e.latency_s is None else f"  whole request {duration(e.latency_s)}"
        yield f"ttft {duration(e.ttft_s)} ({known}){whole}"
    if e.source_detail:
        yield escape(e.source_detail)


def _costs(e: Estimate) -> Iterator[str]:
    if e.price is None:
        yield "no price: no offering of this GPU can hold the replica; --usd-per-hour states one"
        return
    price = f"at ${e.price.usd_per_hour:,.2f}/h ({escape(e.price.label)})"
    output, every = e.usd_per_million_output_tokens, e.usd_per_million_tokens
    if e.usd_per_request is None or output is None or every is None:
        yield f"no cost per request {price}"
        return
    per_million = f"{usd_per_million(output)} per 1M output tokens, {usd_per_million(every)} per 1M"
    yield f"{per_million} of all tokens, ${_two_digits(e.usd_per_request)} per request {price}"


def _table(estimates: Sequence[Estimate]) -> list[str]:
    head = ["LLM", "GPU", "precision", "tp", "batch", "verdict", "GiB/GPU", "tpot", "tok/s"]
    head += ["req/s", "$/h", "$/1M out", "$/request", "limit", "MBU", "MFU", "source"]
    rows = [head, *(_cells(e) for e in estimates)]
    reasons = dict.fromkeys(f"  {_replica(e)}: {_why(e)}" for e in estimates if e.reason)
    served = dict.fromkeys(f"  {escape(e.deployment)}" for e in estimates)
    return [*columns(rows, "<<<>><>>>>>>><>><"), *([""] if reasons else []), *reasons, "", *served]


def _why(e: Estimate) -> str:
    return escape(e.reason) + (
        f"; the smallest that fits: {escape(e.smallest)}" if e.smallest else ""
    )


def _cells(e: Estimate) -> list[str]:
    memory = "-" if e.needed_gib is None else f"{e.needed_gib:.1f} of {e.usable_gib:.1f}"
    output, each = e.usd_per_million_output_tokens, e.usd_per_request
    return [
        escape(e.llm),
        escape(e.gpu),
        escape(e.precision),
        str(e.tensor_parallel),
        "-" if e.concurrency is None else count(e.concurrency),
        e.verdict,
        memory,
        "-" if e.tpot_s is None else duration(e.tpot_s),
        "-" if e.output_tokens_per_second is None else _whole(e.output_tokens_per_second),
        "-" if e.requests_per_second is None else number(e.requests_per_second),
        "-" if e.price is None else f"{e.price.usd_per_hour:,.2f}",
        "-" if output is None else usd_per_million(output).lstrip("$"),
        "-" if each is None else _two_digits(each),
        escape(e.bottleneck) or "-",
        "-" if e.mbu is None else percent(e.mbu),
        "-" if e.mfu is None else percent(e.mfu),
        escape(e.source) or "-",
    ]


def _whole(value: float) -> str:
    """`1,640`; small rates keep three digits."""
    return count(value) if value >= 100 else number(value)


def _two_digits(amount: float) -> str:
    """`0.000015`: two significant digits, no exponent; cents from ten cents up."""
    if amount >= 0.1 or amount <= 0:
        return f"{amount:,.2f}"
    return f"{amount:.{min(12, 1 - math.floor(math.log10(amount)))}f}"
