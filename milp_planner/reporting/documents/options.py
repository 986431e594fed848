"""What a caller may ask of every report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from milp_planner.lazily import dataclass

if TYPE_CHECKING:
    from milp_planner.questions.confidence import ConfidenceRange


@dataclass(frozen=True)
class ReportOptions:
    """Choices that hold for every format."""

    reproducible: bool = False
    """Leave out seconds, so that equal questions give equal bytes."""

    failed_gates: tuple[str, ...] = ()
    """What `--max-cost` and its like found, in words."""

    confidence_range: ConfidenceRange | None = None
    """What `--range` found."""


DEFAULTS = ReportOptions()
