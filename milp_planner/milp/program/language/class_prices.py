"""Prices of request classes, by which a program knows that requests can be routed."""

from __future__ import annotations

from typing import NamedTuple


class ClassPrices(NamedTuple):
    """What a request of each class counts for, and what one is charged that a group serves.

    See `milp/program/routes/`.
    """

    by_class: tuple[float, ...]
    """π_q, none below 0; of the mix of a workload a request counts for 1."""

    by_group: tuple[tuple[str, str, float], ...] = ()
    """(rule, group, v_g) of groups that may serve no more than a share; none below 0."""
