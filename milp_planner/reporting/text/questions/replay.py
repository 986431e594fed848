"""A replay as plain text, as a document, and hour by hour as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from milp_planner.replaying.records import (
    METRICS,
    SHARES,
    PoolReplayed,
    ReactiveDay,
    Replay,
    ReplayFigure,
    SpotReplayed,
    WishReplayed,
)
from milp_planner.reporting.text.wording import (
    columns,
    count,
    duration,
    escape,
    number,
    percent,
    plural,
    usd,
)

NEVER = "never"
TIMELINE = (
    *("workload", "stretch", "start_s", "end_s", "requests", "requests_per_second", "replicas"),
    *("utilization", "queue", "wait_p99_s", "ttft_p99_s", "tpot_mean_s", "request_p99_s"),
)


def replay_text(replay: Replay) -> str:
    """The whole report, ending in a line break."""
    parts = [[*_headline(replay)], *([*_pool(pool)] for pool in replay.pools)]
    if replay.reactive:
        parts.append([line for day in replay.reactive for line in _reactive(day)])
    if replay.wishes:
        parts.append(["Wishes", *(f"  {wish_text(wish)}" for wish in replay.wishes)])
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def replay_dict(replay: Replay) -> dict[str, Any]:
    """The replay as plain data, ready for JSON; what never came is null."""
    found = asdict(replay)
    for pool in found["pools"]:
        pool["figures"] = {
            metric: {_percentile(share): figure for share, figure in figures.items()}
            for metric, figures in pool["figures"].items()
        }
    for wish, replayed in zip(found["wishes"], replay.wishes, strict=True):
        wish["kept"] = replayed.kept
    return {**found, "keeps_all_wishes": replay.keeps_all_wishes}


def timeline_csv(replay: Replay) -> str:
    """A row for every hour or block of every workload; empty where nothing came."""
    import csv
    import io

    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(TIMELINE)
    for pool in replay.pools:
        for s in pool.stretches:
            values = [pool.workload, *asdict(s).values()]
            rows.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in values])
    return written.getvalue()


def _headline(replay: Replay) -> Iterator[str]:
    seeds = f"seed {replay.seeds[0]}"
    if len(replay.seeds) > 1:
        seeds = f"seeds {replay.seeds[0]} to {replay.seeds[-1]}"
    yield (
        f"Replay of {escape(replay.name)}: {plural(replay.sent, 'request')}, "
        f"router {replay.router}, {seeds}."
    )
    if replay.shortened < 1:
        yield f"{percent(replay.shortened, 1)} of each hour was replayed."
    if replay.stopped_early:
        yield "The time limit ended it early: what follows is about the requests that came."


def _pool(pool: PoolReplayed) -> Iterator[str]:
    yield (
        f"{escape(pool.workload)}: {plural(pool.requests, 'request')} counted, "
        f"{count(pool.never_served)} never served, {count(pool.restarts)} begun anew after a loss"
    )
    head = ["", "mean", *(_percentile(share) for share in SHARES)]
    rows = [
        [m, _shown(pool.means[m]), *(_shown(pool.figures[m][share]) for share in SHARES)]
        for m in METRICS
        if m in pool.means and not (pool.rate_only and m == "tpot")
    ]
    yield from columns([head, *rows], "<>>>>")
    busiest = max(pool.stretches, key=lambda s: s.utilization)
    said = f"  Fullest: {escape(busiest.name)}, at {percent(busiest.utilization)} of its capacity"
    if pool.formula_wait_p99_s is not None and pool.replayed_wait_p99_s is not None:
        said += (
            f"; p99 wait {duration(pool.replayed_wait_p99_s)}, "
            f"by the formulas {duration(pool.formula_wait_p99_s)}"
        )
    yield f"{said}."
    if pool.is_unlike and _waits_longer(pool):
        yield (
            "  Its replicas are unlike: one router before those makes people wait longer than "
            "the formulas' one queue."
        )
    if pool.spot is not None:
        yield f"  {_spot(pool.spot)}"
    if pool.per_token_share:
        yield f"  Not replayed: up to {percent(pool.per_token_share)} that APIs serve."
    if pool.rate_only:
        yield "  Only rates are known: a replica then serves one request at a time, waits are long."


def _waits_longer(pool: PoolReplayed) -> bool:
    formula_s, replayed_s = pool.formula_wait_p99_s, pool.replayed_wait_p99_s
    return formula_s is not None and replayed_s is not None and replayed_s > LONGER * formula_s


LONGER = 1.05
"""A wait by the formulas is not more exact than that."""


def _spot(spot: SpotReplayed) -> str:
    who = f"Spot: {plural(spot.replicas, 'replica')}"
    if spot.per_hour <= 0:
        why = "policy.spot_loss is 0" if spot.by_stated_loss else "none were asked for"
        return f"{who}, never interrupted: {why}."
    why = "what policy.spot_loss comes to" if spot.by_stated_loss else "as asked for"
    often = f"{number(spot.per_hour)} times an hour each, {why}: {count(spot.interruptions)} in all"
    return f"{who}, interrupted {often}. A provider may take several at once: see --lose."


def _reactive(day: ReactiveDay) -> Iterator[str]:
    yield (
        f"{escape(day.workload)} under an autoscaler on {escape(day.offering)}: "
        f"{plural(day.events, 'event')}, peak {plural(day.peak_replicas, 'replica')}, "
        f"waste {percent(day.waste, 1)}, {usd(day.usd_per_month)} per month;"
    )
    yield f"  the plan pays {usd(day.plan_usd_per_month)} because it knows the hours beforehand."
    if day.unserved_requests >= 1:
        yield f"  {number(day.unserved_requests)} requests came beyond its capacity."


LEAST_HALF = 0.005


def _shown(figure: ReplayFigure) -> str:
    if figure.value_s is None:
        return NEVER
    if figure.half_width_s is None:
        return duration(figure.value_s)
    return f"{duration(figure.value_s)} ± {_half(figure.half_width_s, of_s=figure.value_s)}"


def _half(half_s: float, *, of_s: float) -> str:
    """Half of an interval in the unit of its figure: `0.61`, two digits, and none below 0.005."""
    half = half_s if of_s >= 1 else half_s * 1000
    return "0" if half < LEAST_HALF else f"{float(f'{half:.2g}'):g}"


def _percentile(share: float) -> str:
    return f"p{100 * share:g}"


def wish_text(replayed: WishReplayed) -> str:
    """How a wish fared, on one line."""
    wish, verdict = replayed.wish, "kept" if replayed.kept else "MISSED"
    if replayed.only_waits and replayed.kept:
        verdict = "kept by the wait alone; what prompts take is not known"
    reached = NEVER if replayed.reached_s is None else duration(replayed.reached_s)
    kind = "mean" if wish.share is None else _percentile(wish.share)
    said = f"{kind} {wish.metric} of {escape(replayed.workload)}: {reached}, wished "
    said += duration(wish.wished_s)
    if replayed.slowed < 1 and replayed.reached_s is not None:
        slower = duration(replayed.reached_s / replayed.slowed)
        said += f" at the expected speed, at which plans hold it ({slower} as slow as planned on)"
    if wish.share is not None:
        half = percent(replayed.missed_half_width, 2)
        said += f"; {percent(replayed.missed_share, 2)} ± {half} later, "
        said += f"{percent(1 - wish.share, 2)} may be"
    if replayed.is_unsure:
        verdict += ", as far as so few requests tell: see --requests"
    return f"{said}: {verdict}{_undisturbed(replayed)}"


def _undisturbed(replayed: WishReplayed) -> str:
    """What interruptions did to the wish."""
    calm = replayed.undisturbed
    if calm is None:
        return ""
    said = NEVER if calm.reached_s is None else duration(calm.reached_s)
    later = "" if replayed.wish.share is None else f", {percent(calm.missed_share, 2)} later"
    return f" (without interruptions {said}{later})"
