"""What a sheet sets beside the plan: choices, next-best plans, levers, risks, curves, asks."""

from __future__ import annotations

from typing import Literal

from milp_planner.plans.sheet.base import SheetPart
from milp_planner.plans.sheet.plan_parts import Bought


class SheetChoice(SheetPart):
    """One other way to serve the traffic, solved."""

    key: str
    name: str
    verdict: str
    """found, same (as `same_as`, or as the plan where that is empty), infeasible, not_reached."""

    cash_usd_per_month: float | None
    score_usd_per_month: float | None
    extra_usd_per_month: float | None
    """How much more it scores than the plan."""

    extra_share: float | None
    served_share: float | None
    """The least share of any workload's peak that it serves: below 1 where a budget is short."""

    proven: bool
    gpus: int | None
    providers: tuple[str, ...]
    fleet: tuple[Bought, ...]
    commitment_usd: float
    same_as: str
    detail: str
    needs: str
    """What the problem would have to allow first; empty where nothing stands in the way."""

    why: str
    """Why there is no plan, or which limit today's fleet breaks."""


class SameElsewhere(SheetPart):
    """A plan that differs from the one of its line by its sellers, or by a few dollars."""

    names: tuple[str, ...]
    """Its sellers that the line's plan does not have, or all it has where these are fewer; empty
    where only units move between them."""

    extra_usd_per_month: float
    """How much more it scores than the plan."""


class SheetAlternative(SheetPart):
    """A next-best plan, and those that are the same but for their sellers."""

    rank: int
    """1 is the plan itself."""

    cash_usd_per_month: float
    score_usd_per_month: float
    extra_usd_per_month: float
    extra_share: float | None
    proven: bool
    gpus: int
    providers: tuple[str, ...]
    fleet: tuple[Bought, ...]
    change: str
    """What it buys instead."""

    elsewhere: tuple[SameElsewhere, ...]


class SheetLever(SheetPart):
    """One change of the problem, solved alone."""

    key: str
    name: str
    """`loosen tpot of chat to 60 ms`."""

    path: str
    value: str
    verdict: str
    """found, infeasible or not_reached."""

    saves_usd_per_month: float | None
    """How much less the best plan scores with it; 0 where it changes nothing."""

    saves_share: float | None
    cash_usd_per_month: float | None
    fleet: tuple[Bought, ...]
    proven: bool


class LeftAfterLoss(SheetPart):
    """What one failure leaves of a workload's service, at full load of the rest."""

    workload: str
    kind: str
    """unit, provider, region or offering."""

    lost: str
    block: str
    """Hours of the month in which the loss leaves the least."""

    left: float
    served: float
    """What the plan serves at the peak, in the same unit."""

    unit: str
    share: float
    """`left` as a share of `served`; 1 and more: the loss is not felt."""

    stands_by: tuple[str, ...] = ()
    """Per-token offerings that take over what the rest of the fleet cannot serve."""


class PriceAge(SheetPart):
    """What is spent on prices of one age."""

    age_days: int
    usd_per_month: float
    offerings: tuple[str, ...]


class WishJudged(SheetPart):
    """A latency wish, and what it is judged on."""

    workload: str
    what: str
    """tpot, ttft, longest_wait, or a percentile such as `p99 wait`."""

    asked_s: float
    expected_s: float | None
    measured: bool
    not_judged_on: tuple[str, ...] = ()
    """Offerings that serve the workload and of which nothing is known in this."""

    in_replay: Literal["", "kept", "missed"] = ""
    """Where a replay judged it: its verdict, and what it came to is what is expected."""


class RowLeftOut(SheetPart):
    """The measurement that most of the money stands on, and the plan without it."""

    name: str
    """`row 2279 of measurements.csv`."""

    what: str
    """LLM, GPU, format, engine, tokens and requests in flight."""

    at_stake_usd_per_month: float
    """Spent on rates that stand on it."""

    status: str
    """Of the plan without it: optimal, feasible or infeasible."""

    cash_usd_per_month: float | None
    """Of that plan; None where there is none."""

    extra_usd_per_month: float | None
    """How much more cash that is; less than 0 where it becomes cheaper."""


class SheetRisks(SheetPart):
    """What the plan rests on."""

    losses: tuple[LeftAfterLoss, ...]
    prices_by_age: tuple[PriceAge, ...]
    estimated_usd_per_month: float
    """Spent on rates that nobody measured."""

    rated_usd_per_month: float
    """Spent on anything that has a rate."""

    wishes: tuple[WishJudged, ...]
    notes: tuple[str, ...]
    """What the figures do not show."""

    row_left_out: RowLeftOut | None = None
    """None where the plan stands on no measurement, or it was not asked or not reached."""


class BudgetStair(SheetPart):
    """What the least budget that buys it buys."""

    usd_per_month: float
    served_share: float
    fleet: str


class BudgetStaircase(SheetPart):
    """What some budgets buy, each from the least budget on that buys it."""

    steps: tuple[BudgetStair, ...]
    smallest_usd_per_month: float | None
    """The least that serves everything."""

    complete: bool
    """True where there is no other step between those told."""


class TrafficPoint(SheetPart):
    """The best plan at some multiple of the traffic."""

    factor: float
    tokens_per_month: float | None
    cash_usd_per_month: float | None
    fleet_usd_per_month: float | None
    """Units alone; None where that cannot be."""

    per_token_usd_per_month: float | None
    """APIs alone; None where that cannot be."""

    fleet: str


class TrafficCurve(SheetPart):
    """What other traffic costs, and where a fleet begins to pay."""

    points: tuple[TrafficPoint, ...]
    break_even_factor: float | None
    """From this multiple of the traffic on a fleet is no dearer than an API."""

    break_even_tokens_per_month: float | None
    break_even_usd_per_month: float | None
    looked_from_factor: float
    """The least multiple at which both ways were priced, ..."""

    looked_to_factor: float
    """... and the largest: beyond them nothing is known of a break-even."""


class CheapestWay(SheetPart):
    """The cheapest way to pay over a stretch of traffic."""

    from_factor: float
    to_factor: float
    """Multiples of today's traffic."""

    way: str
    """per token, rented or owned; empty where none can serve so much."""

    needs: tuple[str, ...]
    """Billings that the problem would have to allow for it."""

    from_usd_per_month: float | None
    to_usd_per_month: float | None
    """What it costs at both ends; None where it was not priced there."""

    proven: bool


class WaysCompared(SheetPart):
    """From which volume on which way to pay is the cheapest."""

    stretches: tuple[CheapestWay, ...]
    complete: bool
    """False where time ended before all was known."""

    why_none: str = ""
    """Why there is no answer; empty where there is one."""


class ToAsk(SheetPart):
    """What a seller should say before money is paid."""

    provider: str
    offering: str
    question: str
    usd_per_month: float


class IfSlower(SheetPart):
    """What the plan becomes where a measurement prints less throughput, and the planned TPOT."""

    share_less: float
    status: str
    cash_usd_per_month: float | None
    extra_usd_per_month: float | None
    fleet: tuple[Bought, ...]


class ToMeasure(SheetPart):
    """One rate to measure, how, and the figure that it must reach."""

    workload: str
    llm: str
    gpu: str
    precision: str
    tensor_parallel: int
    gpus: int
    """GPUs of one replica."""

    input_tokens: float
    output_tokens: float
    concurrency: float
    """Requests in flight in the replica."""

    requests_per_second: float
    """What the plan counts on, of one replica."""

    must_print_requests_per_second: float
    """What a measurement must say for plans to count on as much: less of it is trusted."""

    tpot_s: float | None
    """What it may take per output token; None where there is no wish."""

    usd_per_month: float
    """Spent on this rate."""

    at_stake_usd_per_month: float
    """Spend × (1 - derate): what is paid for not knowing."""

    serve_command: str
    bench_command: str
    calibrate_command: str
    """What tells of the file that the benchmark writes what the plan becomes."""

    if_slower: IfSlower | None
