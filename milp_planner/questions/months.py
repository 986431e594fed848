"""plan_months(): when to sign for what, over a horizon of months."""

from __future__ import annotations

import threading
from dataclasses import replace

from milp_planner.deadline import began_s
from milp_planner.errors import Fault, InputError
from milp_planner.futures.months.answer import calendar_of
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.calendars.records import Calendar
from milp_planner.questions.solve import provenance_at
from milp_planner.solving.checks.arguments import (
    SolverChoice,
    catalog_for,
    check_problem_and_catalog,
)
from milp_planner.solving.re_solve import settings_of


def plan_months(
    problem: Problem,
    catalog: Catalog | None = None,
    *,
    time_limit_s: float | None = None,
    gap: float | None = None,
    solver: SolverChoice | None = None,
    reproducible: bool = False,
    cancel: threading.Event | None = None,
) -> Calendar | None:
    """The calendar of commitments that costs least over the months of a problem's horizon.

    problem: has `horizon`, and `futures` where it is not known what comes. catalog: default: the
    one that the problem names. The others stand for the problem's own settings where they are
    given: time_limit_s, seconds for everything together; gap, the share of the cost that is worth
    no more search, by default 0.1 %; solver, which engines check the rents. reproducible: waits for
    the slower engine while the time limit lasts, so that a busy machine proves no less and says so
    in the same words. cancel: set it from another thread to stop early with the best so far.

    Returns a Calendar, the best one in time; None where time was up before there was any.

    Raises InputError for names that the catalog does not know, for a problem without a horizon, and
    for what is not planned over months, each with what to leave out; ArgumentError for values of
    another type; CalendarInterrupted on a Ctrl-C once there is a calendar, which it carries.

    >>> from milp_planner import load_problem, plan_months
    >>> calendar = plan_months(load_problem("problems/growing-year.yaml"))
    >>> assert calendar is not None
    >>> [(s.month, s.units, s.offering) for s in calendar.common]
    [(1, 10, 'aws/g6e.xlarge/us-east-1')]
    """
    began = began_s()
    catalog = catalog_for(problem, catalog)
    check_problem_and_catalog(problem, catalog)
    if problem.horizon is None:
        said, hint = "there are no months to plan", "write horizon: {months: 12}, or use solve"
        raise InputError([Fault("", 0, 0, "horizon", said, hint)])
    settings = settings_of(
        problem, time_limit_s=time_limit_s, gap=gap, solver=solver, cancel=cancel, began=began
    )
    settings = replace(settings, patient=reproducible)
    provenance = provenance_at(problem, catalog, settings)
    return calendar_of(problem, catalog, settings, provenance)
