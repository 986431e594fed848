"""One-line inputs for tests: a problem, a catalog with rates you can do in your head.

Rates are `raw` rows, so that a replica does exactly what the test says, without any derate.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from milp_planner import Catalog, Gpu, Llm, Measurement, Offering, Problem, TokenPrice

SHIPPED = Path(__file__).parents[2] / "problems"
OF_ONE_MONTH = sorted(path for path in SHIPPED.rglob("*.yaml") if path.stem != "growing-year")
"""Files of problems that have a plan: one with a horizon has a calendar."""

DAY = date(2026, 1, 15)
BIG = "acme/big/eu-1"
SMALL = "bolt/small/eu-1"
TOKENS = "tokn/tiny/global"

PER_TOKEN = {"billing": {"allow": ["dedicated", "per_token"]}}

SOURCE = {"source": "made for tests", "as_of": DAY}


def gpu(name: str, memory_gib: float = 80) -> Gpu:
    return Gpu(id=name, vendor="test", memory_gib=memory_gib, **SOURCE)


def llm(name: str = "tiny", **fields: Any) -> Llm:
    return Llm(id=name, **fields, **SOURCE)


def offering(
    provider: str,
    gpu: str,
    usd_per_hour: float,
    *,
    billing: str = "dedicated",
    gpus_per_unit: int = 1,
    region: str = "eu-1",
    **fields: Any,
) -> Offering:
    return Offering(
        provider=provider,
        name=fields.pop("name", gpu),
        region=region,
        billing=billing,
        gpu=gpu,
        gpus_per_unit=gpus_per_unit,
        usd_per_hour=usd_per_hour,
        **fields,
        **SOURCE,
    )


def token_price(provider: str, usd_per_m: float, llm: str = "tiny", **fields: Any) -> TokenPrice:
    return TokenPrice(
        provider=provider,
        llm=llm,
        usd_per_m_input_tokens=fields.pop("usd_per_m_input", usd_per_m),
        usd_per_m_output_tokens=usd_per_m,
        **fields,
        **SOURCE,
    )


def raw(
    gpu: str,
    requests_per_second: float,
    *,
    llm: str = "tiny",
    size: tuple[float, float] = (1, 1),
    tensor_parallel: int = 1,
) -> Measurement:
    """A replica's rate for requests of one size."""
    return Measurement(
        llm=llm,
        gpu=gpu,
        precision="raw",
        tensor_parallel=tensor_parallel,
        basis="raw",
        input_tokens=size[0],
        output_tokens=size[1],
        output_tokens_per_second=requests_per_second * sum(size),
        **SOURCE,
    )


def catalog(
    offerings: list[Offering],
    rates: list[Measurement],
    token_prices: list[TokenPrice] | None = None,
    **kwargs: Any,
) -> Catalog:
    gpus = {o.gpu for o in offerings} | {m.gpu for m in rates}
    llms = {m.llm for m in rates} | {p.llm for p in token_prices or []}
    return Catalog.of(
        gpus=[gpu(name) for name in gpus],
        llms=[llm(name) for name in llms],
        offerings=offerings,
        token_prices=token_prices or [],
        measurements=rates,
        **kwargs,
    )


def workload(rate: float = 10, name: str = "chat", **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "llm": fields.pop("llm", "tiny"),
        "traffic": {"kind": "requests_per_second", "requests_per_second": rate},
        "requests": {"input_tokens": 1, "output_tokens": 1},
        **fields,
    }


def problem(rate: float = 10, *, target: float = 1.0, **fields: Any) -> Problem:
    """One workload of `rate` requests/s, utilization up to 100 % unless said otherwise."""
    policy = {"utilization": {"target": target}, **fields.pop("policy", {})}
    workloads = fields.pop("workloads", None) or [workload(rate, **fields.pop("chat", {}))]
    fields.setdefault("alternatives", {"count": 0})
    return Problem(workloads=workloads, policy=policy, **fields)


def big_and_small() -> Catalog:
    """Big: 10 requests/s for $4/h. Small: 3 requests/s for $1.50/h."""
    return catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 1.5)],
        [raw("big", 10), raw("small", 3)],
    )


def with_tokens(**fields):
    """Big, small and tokens: $20 per million requests, $51.84 a month for one request/s."""
    return replace(big_and_small(), token_prices=(token_price("tokn", 10, **fields),))


def stocked():
    """Big, of which two can be had, and small."""
    return catalog(
        [offering("acme", "big", 4.0, max_units=2), offering("bolt", "small", 1.5)],
        [raw("big", 10), raw("small", 3)],
    )
