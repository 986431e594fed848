"""When replicas run: a plan's blocks as windows of the clock, for cron."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.lazily import dataclass
from milp_planner.units import HOURS_PER_DAY

TIME_ZONE = "Etc/UTC"
"""What the hours of a profile are taken for; it states no zone."""


DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class DayPart:
    """Hours in a row of one day, with one number of replicas."""

    day: str | None
    """None where every day is alike."""

    first: int
    end: int
    """The hour after the last, at most 24."""

    replicas: int


@dataclass(frozen=True)
class Window:
    """Hours in a row with one number of replicas."""

    start: int
    """Hour of the day (0 to 23) or of the week (0 to 167, Monday first)."""

    hours: int
    replicas: int
    weekly: bool

    @property
    def cron_start(self) -> str:
        """`0 9 * * *`, or `0 9 * * 1` where the week has a rhythm."""
        return self._cron(self.start)

    @property
    def cron_end(self) -> str:
        """The first hour after it."""
        return self._cron(self.start + self.hours)

    def by_day(self) -> Iterator[DayPart]:
        """The same cut at midnight."""
        hour, end = self.start, self.start + self.hours
        while hour < end:
            day, first = divmod(hour, HOURS_PER_DAY)
            length = min(end - hour, HOURS_PER_DAY - first)
            named = DAYS[day % len(DAYS)] if self.weekly else None
            yield DayPart(named, first, first + length, self.replicas)
            hour += length

    def _cron(self, hour: int) -> str:
        if not self.weekly:
            return f"0 {hour % HOURS_PER_DAY} * * *"
        day, of_day = divmod(hour % (7 * HOURS_PER_DAY), HOURS_PER_DAY)
        return f"0 {of_day} * * {(day + 1) % 7}"  # cron counts from Sunday, a profile from Monday


def windows(block_by_hour: Sequence[int], by_block: Sequence[int]) -> tuple[Window, ...]:
    """The clock as windows of equal numbers; none without a clock, or where nothing changes.

    block_by_hour: of each hour of a day (24) or a week (168). by_block: replicas by block.
    """
    by_hour = [by_block[t] for t in block_by_hour]
    if len(set(by_hour)) < 2:
        return ()
    clock = len(by_hour)
    starts = [h for h in range(clock) if by_hour[h] != by_hour[h - 1]]
    ends = [*starts[1:], starts[0] + clock]
    weekly = clock > HOURS_PER_DAY
    return tuple(
        Window(start, end - start, by_hour[start], weekly)
        for start, end in zip(starts, ends, strict=True)
    )
