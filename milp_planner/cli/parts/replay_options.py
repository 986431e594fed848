"""Options that say how a plan's fleet is replayed."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from milp_planner.cli.parts.values import read_duration_s


class RouterName(StrEnum):
    """Which replica a request is sent to."""

    LEAST = "least"
    TWO = "two"
    ROUND_ROBIN = "round_robin"
    RANDOM = "random"
    CENTRAL = "central"
    PER_OFFERING = "per_offering"
    PER_CLASS = "per_class"


PlanToReplay = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A plan of it, as solve --json wrote it; else solved."),
]
RequestCount = Annotated[int, typer.Option(metavar="N", help="How many in all.")]
Router = Annotated[
    RouterName | None,
    typer.Option(help="Which replica takes a request; default: as the plan is routed."),
]
FirstSeed = Annotated[int, typer.Option(help="The first seed.")]
SeedCount = Annotated[int, typer.Option(help="Replays that intervals are over.")]
FurtherWishes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METRIC.P=TIME",
        help="A further wish, such as wait.p99=1s; chat:ttft=2s is a mean. May be repeated.",
    ),
]
Lost = Annotated[
    str | None, typer.Option(metavar="KIND:NAME", help="What is lost, such as provider:runpod.")
]
LostAt = Annotated[
    float | None,
    typer.Option(parser=read_duration_s, metavar="TIME", help="When, such as 14h; default 1h."),
]
LostFor = Annotated[
    float | None, typer.Option("--for", parser=read_duration_s, metavar="TIME", help="Default: 1h.")
]
ReadyAfter = Annotated[
    float | None,
    typer.Option(
        parser=read_duration_s,
        metavar="TIME",
        help="From switching on to the first request; default: policy.start_up after a loss.",
    ),
]
Interruptions = Annotated[
    float | None,
    typer.Option(
        metavar="N", help="Of each spot replica, a day; default: what policy.spot_loss comes to."
    ),
]
Burstiness = Annotated[
    float | None,
    typer.Option(help="Variation of the gaps; 1 is Poisson, 2 bursty. Default: the traffic's own."),
]
OutputCv = Annotated[float, typer.Option(help="Variation of the output tokens.")]
ExpectedSpeed = Annotated[
    bool, typer.Option("--expected-speed", help="Replicas as fast as expected, not as planned on.")
]
Autoscaler = Annotated[
    bool, typer.Option("--autoscaler", help="A threshold autoscaler instead of the plan's hours.")
]
TraceFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A log in CSV: its own arrivals and tokens are sent."),
]
TraceScale = Annotated[
    float, typer.Option(metavar="FACTOR", help="So many times its requests in the same time.")
]
Tighten = Annotated[
    bool, typer.Option("--tighten", help="Solve for less utilization until every wish is kept.")
]
TimelineFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Hour by hour, as CSV.")]
