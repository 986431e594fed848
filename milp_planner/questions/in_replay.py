"""A plan that tells what a replay of its fleet made of the wishes that only a replay can judge."""

from __future__ import annotations

from dataclasses import replace

from milp_planner.plans.reasons import Remark, TimeNotJudged, TimeReplayed
from milp_planner.plans.records import Plan
from milp_planner.replaying.records import Replay, WishReplayed


def told_by_replay(plan: Plan, replay: Replay) -> Plan:
    """The plan with the replay's verdict in place of each percentile that is not judged.

    replay: of the plan's own fleet. What APIs serve is not replayed: there nothing is known still.
    """
    found: dict[tuple[str, str, float], WishReplayed] = {
        (one.workload, one.wish.metric, one.wish.wished_s): one for one in replay.wishes
    }
    served = {pool.workload for pool in replay.pools if pool.requests}

    def told(remark: Remark) -> Remark:
        if not isinstance(remark, TimeNotJudged) or remark.workload not in served:
            return remark
        said = found.get((remark.workload, remark.metric, remark.wished_s))
        if said is None or (said.only_waits and said.kept):
            return remark
        return _verdict(plan, remark, said)

    return replace(plan, warnings=tuple(map(told, plan.warnings)))


def _verdict(plan: Plan, of: TimeNotJudged, said: WishReplayed) -> TimeReplayed:
    mine = (p.candidate for p in plan.purchases_of(of.workload))
    return TimeReplayed(
        workload=of.workload,
        what=of.what,
        metric=of.metric,
        wished_s=of.wished_s,
        reached_s=said.reached_s,
        missed_share=said.missed_share,
        kept=said.kept,
        unknown=tuple(dict.fromkeys(k.offering.id for k in mine if k.mode.per_token)),
    )
