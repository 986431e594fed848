"""Options that describe one deployment, for `estimate` and `calibrate`, and how they are read."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from milp_planner.cli.parts.values import read_duration_s

MOST_TOKENS = 100_000_000


def read_positive(text: str) -> float:
    """`0.86`, `$0.86`, `1_500` or `2k` -> a number above 0."""
    from milp_planner.units import parse_number

    try:
        value = parse_number(text.strip().removeprefix("$"))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"must be greater than 0 (is {text})")
    return value


def read_tokens(text: str) -> float:
    """`1500` or `8k` -> tokens, above 0 and at most 100 million."""
    tokens = read_positive(text)
    if tokens > MOST_TOKENS:
        raise typer.BadParameter(f"must be at most {MOST_TOKENS:,} (is {text})")
    return tokens


def read_counts(option: str, text: str, most: int = 100_000) -> list[int]:
    """`1,4,8` -> [1, 4, 8]: whole numbers above 0."""
    try:
        values = [read_positive(part) for part in names_in(text)]
    except typer.BadParameter as error:
        raise typer.BadParameter(f"{option}: {error.message}") from None
    if not values or any(value != int(value) for value in values):
        raise typer.BadParameter(f"{option}: whole numbers above 0, such as 1,4,8 (is {text})")
    if max(values) > most:
        raise typer.BadParameter(f"{option}: must be at most {most:,} (is {text})")
    return [int(value) for value in values]


def read_confidence(text: str) -> float:
    """`p90`, `90%` or `0.9` -> 0.9: from 0 to below 1."""
    from milp_planner.units import parse_share

    try:
        share = int(text[1:]) / 100 if text[:1] == "p" else parse_share(text)
    except ValueError:
        raise typer.BadParameter(f"--confidence: {text!r}; write p90 or 0.9") from None
    if not 0 <= share < 1:
        raise typer.BadParameter(f"--confidence: from p0 to p99 (is {text})")
    return share


def names_in(text: str) -> list[str]:
    """`a, b` -> [a, b]."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _positive(metavar: str, help_: str) -> Any:
    return typer.Option(parser=read_positive, metavar=metavar, help=help_)


LlmNames = Annotated[str, typer.Option("--llm", metavar="LLM[,LLM]", help="Which LLMs.")]
GpuNames = Annotated[
    str | None, typer.Option("--gpu", metavar="GPU[,GPU]", help="Default: the offering's GPU.")
]
InputTokens = Annotated[
    float, typer.Option("--input", parser=read_tokens, metavar="N", help="Input tokens.")
]
OutputTokens = Annotated[
    float, typer.Option("--output", parser=read_tokens, metavar="N", help="Output tokens.")
]
TensorParallel = Annotated[str, typer.Option(metavar="N[,N]", help="GPUs of a replica.")]
Precisions = Annotated[
    str | None, typer.Option(metavar="NAME[,NAME]", help="Default: the LLM's own.")
]
Batches = Annotated[
    str | None,
    typer.Option(
        "--concurrency",
        "--batch",
        metavar="N[,N]",
        help="Requests in flight; default: as many as fit.",
    ),
]
Tpot = Annotated[
    float | None,
    typer.Option(parser=read_duration_s, metavar="TIME", help="As many as keep it: 50ms."),
]
HourlyPrice = Annotated[float | None, _positive("USD", "Price of the whole replica.")]
OfferingId = Annotated[
    str | None, typer.Option(metavar="ID", help="Priced at provider/name/region.")
]
BillingName = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of --offering; default: on demand.")
]
ProviderName = Annotated[
    str | None, typer.Option(metavar="NAME", help="Priced at this provider's cheapest.")
]
PurchaseUsd = Annotated[float | None, _positive("USD", "Owned: what the replica cost.")]
LifetimeYears = Annotated[float, typer.Option(metavar="YEARS", help="Owned: written off over.")]
Watts = Annotated[float | None, _positive("W", "Owned: what it draws; default: its TDP.")]
UsdPerKwh = Annotated[float | None, _positive("USD", "Owned: price of power.")]
Pue = Annotated[float, typer.Option(metavar="FACTOR", help="Owned: what cooling adds.")]
UsdPerMonth = Annotated[float | None, _positive("USD", "Owned: all else.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="One row per deployment.")]
WhichCatalog = Annotated[
    str, typer.Option("--catalog", metavar="NAME", help="A shipped catalog, or a folder.")
]
Confidence = Annotated[
    str, typer.Option(metavar="QUANTILE", help="How sure to be of an estimate: p90, or 0.9.")
]
