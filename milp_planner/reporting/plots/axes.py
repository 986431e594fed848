"""Axes to draw on, and what all plots write the same way. Nothing else imports matplotlib."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from milp_planner.errors import PlannerError
from milp_planner.reporting.text.wording import escape, money, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST_LABEL = 60


def axes_for(ax: Axes | None, height_in: float = 4.0) -> Axes:
    """`ax`, or new axes of that height; raises PlannerError where matplotlib is absent."""
    try:
        pyplot = import_module("matplotlib.pyplot")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise PlannerError(
            "plots need matplotlib, which is not installed\n"
            "  hint: pip install 'milp-planner[plot]'"
        ) from None
    if ax is not None:
        return ax
    _, new = pyplot.subplots(figsize=(8.0, height_in), layout="constrained")
    made: Axes = new
    return made


def label(text: object) -> str:
    """A name as it is, never as matplotlib's mathematics, and never endless."""
    plain = escape(text)
    short = plain if len(plain) <= LONGEST_LABEL else f"{plain[: LONGEST_LABEL - 3]}..."
    return short.replace("$", r"\$")


def usd_along(ax: Axes, axis: str) -> None:
    """Amounts of money along one axis, from 0."""
    one = getattr(ax, f"{axis}axis")
    one.set_major_formatter(lambda usd, _: rf"\${money(usd)}" if usd >= 0 else "")
    getattr(ax, f"set_{axis}label")("USD per month")


def shares_up(ax: Axes) -> None:
    """Shares up the y axis, to 100 %."""
    ax.set_ylim(0, 1.05)
    ax.yaxis.set_major_formatter(lambda share, _: percent(share) if share <= 1 else "")


def key_below(ax: Axes) -> None:
    """What the colours stand for, where there is more than one to tell apart."""
    handles, labels = ax.get_legend_handles_labels()
    if len(labels) > 1:
        ax.legend(
            handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False
        )
