"""A plan over months as one program: every start, rental, future and month, for HiGHS alone."""

from __future__ import annotations

import highspy
import numpy as np
from numpy.typing import NDArray

from milp_planner.milp.months.records import MonthsOutlook

Wholes = NDArray[np.int64]


class Program:
    """Columns are whole numbers; rows say that a sum is at least, or at most, something."""

    def __init__(self, gap: float) -> None:
        self.highs = highspy.Highs()
        for name, value in (("output_flag", False), ("mip_rel_gap", gap), ("threads", 1)):
            self.highs.setOptionValue(name, value)
        self.columns = 0

    def column(self, usd: float) -> int:
        self.highs.addCol(usd, 0, highspy.kHighsInf, 0, [], [])
        self.highs.changeColIntegrality(self.columns, highspy.HighsVarType.kInteger)
        self.columns += 1
        return self.columns - 1

    def row(self, terms: list[tuple[float, int]], low: float, high: float) -> None:
        self.highs.addRow(low, high, len(terms), [c for _, c in terms], [a for a, _ in terms])


def least_usd(outlook: MonthsOutlook, gap: float = 1e-6, signed: Wholes | None = None) -> float:
    """The optimum, expected over the futures.

    signed: (futures, months, terms) units, where they are given.
    """
    program = Program(gap)
    months = range(outlook.months)
    starts = {}
    for f, future in enumerate(outlook.futures):
        for k, term in enumerate(outlook.terms):
            for m in months:
                follows = m >= outlook.branches_at
                if follows or f == 0:
                    usd = outlook.owed(term, m) * (future.probability if follows else 1.0)
                    starts[f, k, m] = program.column(usd)
                else:
                    starts[f, k, m] = starts[0, k, m]
                if signed is not None:
                    program.row([(1.0, starts[f, k, m])], *[float(signed[f, m, k])] * 2)
            if term.most is not None:
                for m in months:
                    window = range(max(0, m - term.months + 1), m + 1)
                    program.row([(1.0, starts[f, k, i]) for i in window], 0.0, term.most)
    for f, future in enumerate(outlook.futures):
        for i in range(outlook.all_months):
            paid = outlook.price_trend**i * future.probability
            held, elastic = [], []
            for rental, price in zip(outlook.rentals, future.prices, strict=True):
                usd = paid * price * rental.usd_per_hour
                if rental.hours is None:
                    elastic.append((rental.carries, usd))
                else:
                    held.append((rental.carries, program.column(usd * rental.hours)))
            if i >= outlook.months:
                held += [
                    (term.carries, program.column(future.probability * term.usd_per_month))
                    for term in outlook.terms
                    if term.most is None
                ]
            bound = [
                (term.carries, starts[f, k, m])
                for k, term in enumerate(outlook.terms)
                for m in months
                if m <= i < m + term.months
            ]
            loads = future.loads[min(i, outlook.months - 1)]
            for hours, load in zip(outlook.hours, loads, strict=True):
                if load > 0:
                    by_hour = [(carries, program.column(usd * hours)) for carries, usd in elastic]
                    program.row([*held, *by_hour, *bound], load, highspy.kHighsInf)
    program.highs.run()
    status = program.highs.getModelStatus()
    assert status == highspy.HighsModelStatus.kOptimal
    return float(program.highs.getInfo().objective_function_value)
