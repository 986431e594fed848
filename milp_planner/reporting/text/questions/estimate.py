"""Estimates of single deployments: a few lines for one, a table for several, JSON and CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from milp_planner.inputs.catalog.records import TokenPrice
from milp_planner.questions.deployments.records import Estimate
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


def estimates_text(
    estimates: Sequence[Estimate],
    quantile: float = DEFAULT_QUANTILE,
    names: Sequence[str] = (),
) -> str:
    """One deployment in a few lines; several, or those with names, as a table with the reasons."""
    alone = len(estimates) == 1 and not names
    lines = _one(estimates[0], quantile) if alone else _table(estimates, names)
    return "\n".join(lines) + "\n"


def estimates_dict(estimates: Sequence[Estimate], names: Sequence[str] = ()) -> dict[str, Any]:
    """All estimates as one document, each with its name where they have one."""
    rows = _rows(estimates, names)
    return {"deployments" if names else "estimates": rows, "not_modelled": list(NOT_MODELLED)}


def estimates_csv(estimates: Sequence[Estimate], names: Sequence[str] = ()) -> str:
    """A header and one row per estimate."""
    rows = [{**row, "warnings": "; ".join(row["warnings"])} for row in _rows(estimates, names)]
    return to_csv(rows[0], rows)


def _rows(estimates: Sequence[Estimate], names: Sequence[str]) -> list[dict[str, Any]]:
    rows = [e.to_dict() for e in estimates]
    if not names:
        return rows
    return [{"name": name, **row} for name, row in zip(names, rows, strict=True)]


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
    if e.token_price is not None:
        return f"{escape(e.llm)} at the API of {escape(e.token_price.provider)}"
    gpus = e.tensor_parallel * e.pipeline_parallel
    return f"{escape(e.llm)} {escape(e.precision)} on {gpus} x {escape(e.gpu)}"


def _memory(e: Estimate) -> str:
    if e.token_price is not None:
        return _token_prices(e.token_price)
    if e.needed_gib is None or e.usable_gib is None:
        return f"{e.verdict}: {escape(e.reason)}{_what_fits(e)}"
    parts = [f"weights {e.weights_gib:.1f}", f"KV {e.kv_gib:.1f}", f"reserve {e.reserve_gib:.1f}"]
    share = " on each GPU" if e.tensor_parallel * e.pipeline_parallel > 1 else ""
    total = f"{e.needed_gib:.1f} of {e.usable_gib:.1f} GiB{share}"
    unserved = "not served: " if e.verdict == "fits" else ""
    why = f"      {unserved}{escape(e.reason)}" if e.reason else f"      n_max {e.sequences}"
    return f"{e.verdict}: {' + '.join(parts)} = {total}{why}{_what_fits(e)}"


def _what_fits(e: Estimate) -> str:
    """What would hold the deployment, where this does not."""
    smallest = f"the smallest that fits: {escape(e.smallest)}" if e.smallest else ""
    joined = f"{escape(e.smallest_joined)} hold it" if e.smallest_joined else ""
    return "".join(f"; {said}" for said in (smallest, joined) if said)


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


def _token_prices(price: TokenPrice) -> str:
    asked = [
        (price.usd_per_m_input_tokens, "input"),
        (price.usd_per_m_cached_tokens, "cached input"),
        (price.usd_per_m_output_tokens, "output"),
    ]
    parts = (f"{usd_per_million(usd)} {what}" for usd, what in asked if usd is not None)
    return f"per token: {', '.join(parts)}, per 1M tokens ({escape(price.id)})"


def _costs(e: Estimate) -> Iterator[str]:
    if e.token_price is not None:
        yield from _per_million(e, "at the API, whatever the load")
        return
    if e.price is None:
        yield "no price: no offering of this GPU can hold the replica; --usd-per-hour states one"
        return
    price = f"at ${e.price.usd_per_hour:,.2f}/h ({escape(e.price.label)})"
    found = list(_per_million(e, price))
    yield from found or [f"no cost per request {price}"]


def _per_million(e: Estimate, at: str) -> Iterator[str]:
    output, every = e.usd_per_million_output_tokens, e.usd_per_million_tokens
    if e.usd_per_request is None or output is None or every is None:
        return
    per_million = f"{usd_per_million(output)} per 1M output tokens, {usd_per_million(every)} per 1M"
    yield f"{per_million} of all tokens, ${_two_digits(e.usd_per_request)} per request {at}"


def _table(estimates: Sequence[Estimate], names: Sequence[str]) -> list[str]:
    head = ["LLM", "GPU", "precision", "tp", "batch", "verdict", "GiB/GPU", "tpot", "request"]
    head += ["tok/s", "req/s", "$/h", "$/1M out", "$/request", "limit", "MBU", "MFU", "source"]
    rows = [head, *(_cells(e) for e in estimates)]
    align = "<<<>><>>>>>>>><>><"
    if names:
        titles = ["deployment", *map(escape, names)]
        rows = [[title, *row] for title, row in zip(titles, rows, strict=True)]
        align = f"<{align}"
    reasons = dict.fromkeys(f"  {_replica(e)}: {_why(e)}" for e in estimates if e.reason)
    served = dict.fromkeys(f"  {escape(e.deployment)}" for e in estimates)
    return [*columns(rows, align), *([""] if reasons else []), *reasons, "", *served]


def _why(e: Estimate) -> str:
    return escape(e.reason) + _what_fits(e)


def _cells(e: Estimate) -> list[str]:
    memory = "-" if e.needed_gib is None else f"{e.needed_gib:.1f} of {e.usable_gib:.1f}"
    output, each = e.usd_per_million_output_tokens, e.usd_per_request
    return [
        escape(e.llm),
        escape(e.gpu if e.token_price is None else f"API of {e.token_price.provider}"),
        escape(e.precision),
        str(e.tensor_parallel or "-"),
        "-" if e.concurrency is None else count(e.concurrency),
        e.verdict,
        memory,
        "-" if e.tpot_s is None else duration(e.tpot_s),
        "-" if e.latency_s is None else duration(e.latency_s),
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
