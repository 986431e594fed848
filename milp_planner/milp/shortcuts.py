"""Which keys of a problem the shortcuts know: pruning, and offerings that stand for others.

A shortcut is exact only for the rules it was made for: pruning may put eight small units in the
place of a big one, which a limit on units that it has never heard of forbids. While a key that is
not named here is set, candidates stand for no others. What is solved apart is read off the rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from milp_planner.inputs.problem import Problem

KNOWN_KEYS: Mapping[str, frozenset[str]] = {
    "limits": frozenset(
        (
            *("budget", "providers", "regions", "gpus", "offerings", "billing"),
            *("max_units", "max_gpus", "spot_share", "survive_loss_of"),
        )
    ),
    "policy": frozenset(
        (
            *("preset", "serving_model", "utilization", "penalties", "confidence"),
            *("hours_per_month", "switch_off_dedicated", "spot_loss"),
        )
    ),
    "penalties": frozenset(("overload", "scaling", "strict_latency", "shortfall")),
}
"""To speed up a limit or term of your own: see to it in `prune`, then name it here."""


def sets_unknown_keys(problem: Problem) -> bool:
    """True when the problem sets a limit, policy or penalty that the shortcuts do not know."""
    records = {
        "limits": problem.limits,
        "policy": problem.policy,
        "penalties": problem.policy.penalties,
    }
    return any(
        getattr(record, key) != field.get_default(call_default_factory=True)
        for name, record in records.items()
        for key, field in type(record).model_fields.items()
        if key not in KNOWN_KEYS[name]
    )
