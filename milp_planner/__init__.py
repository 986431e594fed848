"""Plans GPU fleets for LLM inference as a mixed-integer program.

    from milp_planner import load_problem, solve

    plan = solve(load_problem("problems/quickstart.yaml"))
    print(plan.status, plan.cash_usd_per_month, plan.to_frame())

Every type in a signature or a result of these names is itself one of them. Names are imported on
first use, so that `import milp_planner` costs nothing. To publish one, add it to `__all__`, to
`_homes.py`, and to the imports that type checkers read; a test says where one is missing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from milp_planner._homes import HOMES
from milp_planner._version import __version__

if TYPE_CHECKING:
    from milp_planner.candidates.batch.runs import BatchRun
    from milp_planner.candidates.paying.commitments import PaidCommitment
    from milp_planner.candidates.prices import ReplicaPrice
    from milp_planner.candidates.records import (
        Candidate,
        CandidateList,
        HeldInFlight,
        Meanwhile,
        PlanningInput,
        RatePoint,
        TurnedDown,
    )
    from milp_planner.candidates.sharing.shared_units import SharedUnits
    from milp_planner.errors import (
        ArgumentError,
        Fault,
        InputError,
        PlannerError,
        RecordInputError,
        SolverError,
    )
    from milp_planner.executors.clusters import DaskExecutor, RayExecutor
    from milp_planner.executors.places import executor_at
    from milp_planner.futures.months.answer import CalendarInterrupted
    from milp_planner.inputs.catalog.billing import BillingMode
    from milp_planner.inputs.catalog.files import load_catalog
    from milp_planner.inputs.catalog.identity.places import Place, Places
    from milp_planner.inputs.catalog.identity.quotes import Quote
    from milp_planner.inputs.catalog.identity.sellers import SellerAlias, Sellers
    from milp_planner.inputs.catalog.overlaid.counts import OverlayCounts
    from milp_planner.inputs.catalog.owned import owned_usd_per_hour
    from milp_planner.inputs.catalog.records import (
        Billing,
        Catalog,
        Gpu,
        Llm,
        Measurement,
        Offering,
        TokenPrice,
    )
    from milp_planner.inputs.one_line import LineWords
    from milp_planner.inputs.problem.commitments import Commitment
    from milp_planner.inputs.problem.comparisons import ChoicesAsked, Today
    from milp_planner.inputs.problem.deployment import (
        AnyLlm,
        DeploymentSettings,
        Lora,
        MeasuredRate,
        QualityFile,
        Speculative,
    )
    from milp_planner.inputs.problem.host import HostLimits
    from milp_planner.inputs.problem.latency import Latency, Percentiles, TimeWish
    from milp_planner.inputs.problem.load import load_problem
    from milp_planner.inputs.problem.patching import Patch
    from milp_planner.inputs.problem.policy import (
        OverloadPenalty,
        Penalties,
        Policy,
        ScalingPenalty,
        ShortfallPenalty,
        StartUp,
        StrictLatencyPenalty,
        Utilization,
    )
    from milp_planner.inputs.problem.prices import OwnTerms, PriceCaps, VolumeTier
    from milp_planner.inputs.problem.records import (
        Alternatives,
        BillingLimits,
        Budget,
        CountedFilter,
        CurrentUnits,
        Filter,
        GpuLimits,
        Limits,
        Precision,
        Problem,
        ProviderLimits,
        SolverSettings,
        Survival,
        Switching,
        Workload,
    )
    from milp_planner.inputs.problem.traffic import (
        Batch,
        ConcurrentUsers,
        Pattern,
        Profile,
        RequestSize,
        RequestsPerSecond,
        TokensPerDay,
        TokensPerMonth,
        Trace,
        TraceColumns,
        Traffic,
    )
    from milp_planner.inputs.problem.uncertain.futures import FutureCase, Risk, Value
    from milp_planner.inputs.problem.uncertain.horizon import Horizon, TrafficCourse
    from milp_planner.inputs.problem.uncertain.quotes import OwnQuote
    from milp_planner.milp.program.language.class_prices import ClassPrices
    from milp_planner.milp.program.language.folds import ElasticFleet, ElasticFold, HeldStep
    from milp_planner.milp.program.language.loosening import LimitInForce
    from milp_planner.milp.program.language.pieces import CountPiece
    from milp_planner.milp.program.language.queue_cuts import QueueCut, QueueTangent
    from milp_planner.milp.program.language.rows import Row, count_terms
    from milp_planner.milp.program.language.rule import Rule, Standing
    from milp_planner.milp.program.language.variables import (
        AsksForUnits,
        Fleet,
        Level,
        RampSplit,
    )
    from milp_planner.plans.calendars.documents import calendar_schema
    from milp_planner.plans.calendars.records import (
        Calendar,
        CalendarMonth,
        CalendarOffering,
        CalendarProof,
        FutureCalendar,
        OtherEnd,
        RentedUnits,
        Signing,
    )
    from milp_planner.plans.changes import current_fleet_of
    from milp_planner.plans.consequences import (
        CommitmentUse,
        DocumentParts,
        Loss,
        ResilienceCost,
        StalePrices,
        UnitChange,
    )
    from milp_planner.plans.deployed.records import DeployedLlm, Exported
    from milp_planner.plans.diagnosis import Change, Diagnosis, Misfit
    from milp_planner.plans.document import plan_schema
    from milp_planner.plans.futures.documents import (
        CasePart,
        CommittedPart,
        FlatPart,
        FuturesPart,
        OutcomePart,
        ThresholdPart,
    )
    from milp_planner.plans.futures.records import (
        CommitmentCase,
        CommittedUnits,
        FlatRange,
        FutureOutcome,
        FuturesPlan,
        Threshold,
    )
    from milp_planner.plans.measure_next import MeasureNext, measure_next
    from milp_planner.plans.proof import EngineReport, Proof, Provenance
    from milp_planner.plans.reasons import (
        AboveBudget,
        AlternativesEnded,
        BatchesDone,
        CatalogTooSmall,
        ClassUnserved,
        EndReason,
        FewestGpusFirst,
        LatencyNotAssessed,
        LimitInTheWay,
        LlmsChosen,
        NearOptimal,
        NoFleet,
        NoFullLoad,
        NothingIsStrict,
        NothingServes,
        OverloadCannotOccur,
        PerfectForesight,
        Refusals,
        RoutingWithoutEffect,
        Said,
        SameAs,
        ServedInPart,
        ShortBudget,
        StrictNeverHot,
        TargetWithoutEffect,
        TimeNotJudged,
        TimeReplayed,
        TooFewUnits,
        UnitsKeptApart,
        UnservedAtAPrice,
        WaitIdle,
        WaitKept,
    )
    from milp_planner.plans.records import Band, Plan, Purchase, Route, Status, WorkloadPlan
    from milp_planner.plans.sentences import reason_lines, warning_lines
    from milp_planner.plans.sheet.base import SheetPart
    from milp_planner.plans.sheet.compared import ComparedPlan, PlanDiff, PurchaseChange, plan_diff
    from milp_planner.plans.sheet.no_plan import SheetChange, SheetDiagnosis, SheetMisfit
    from milp_planner.plans.sheet.other_parts import (
        BudgetStair,
        BudgetStaircase,
        CheapestWay,
        IfSlower,
        LeftAfterLoss,
        PriceAge,
        RowLeftOut,
        SameElsewhere,
        SheetAlternative,
        SheetChoice,
        SheetLever,
        SheetRisks,
        ToAsk,
        ToMeasure,
        TrafficCurve,
        TrafficPoint,
        WaysCompared,
        WishJudged,
    )
    from milp_planner.plans.sheet.plan_parts import (
        BlockShown,
        Bought,
        CommitmentShown,
        EngineSaid,
        HoursByUnits,
        LimitAsked,
        ProofShown,
        QuestionAsked,
        SharedUnitShown,
        SheetAnswer,
        SheetPurchase,
        SourcesShown,
        StaleSpend,
        StandingShown,
        WorkloadAsked,
        WorkloadServed,
    )
    from milp_planner.plans.sheet.records import Sheet, sheet_schema
    from milp_planner.questions.choices.choices import choices
    from milp_planner.questions.choices.records import Choice, Choices, ChoiceVerdict
    from milp_planner.questions.confidence import (
        ConfidenceCase,
        ConfidenceRange,
        confidence_range,
        weightiest_row,
    )
    from milp_planner.questions.deployments.calibrate import (
        Calibrated,
        ComparedMeasurement,
        PlannedSpeed,
        calibrate,
    )
    from milp_planner.questions.deployments.comparison import (
        DeploymentScenario,
        DeploymentTable,
        NamedEstimate,
        compare_deployments,
    )
    from milp_planner.questions.deployments.estimate import estimate
    from milp_planner.questions.deployments.records import Estimate
    from milp_planner.questions.deployments.replanned import Replanned, replanned
    from milp_planner.questions.evaluate import Breach, Evaluation, evaluate
    from milp_planner.questions.floor import Floor, FloorHour, floor
    from milp_planner.questions.months import plan_months
    from milp_planner.questions.plan_for import plan_for
    from milp_planner.questions.reasons.entry_price import EntryPrice, EntryTraffic
    from milp_planner.questions.reasons.explain import (
        BestUse,
        NotReached,
        Refusal,
        Verdict,
        WhyNot,
        explain,
    )
    from milp_planner.questions.reasons.limit_costs import LimitCost, LimitCosts, explain_limits
    from milp_planner.questions.replay import replay
    from milp_planner.questions.row_worth import RowWorth
    from milp_planner.questions.sheet.builder import decision_sheet
    from milp_planner.questions.solve import diagnose, solve
    from milp_planner.questions.sweeps.break_even import BreakEven, FleetOrPerToken
    from milp_planner.questions.sweeps.frontier import (
        BudgetStep,
        Frontier,
        FrontierEnd,
        Unfinished,
        budget_frontier,
    )
    from milp_planner.questions.sweeps.rows import RowStatus, WhatIf, WhatIfRow
    from milp_planner.questions.sweeps.scenarios import Scenario, load_scenarios, scenario_grid
    from milp_planner.questions.sweeps.ways import CheapestFrom, Crossovers, WayToPay, crossovers
    from milp_planner.questions.sweeps.what_if import what_if
    from milp_planner.questions.tighten import Tightened, TightenedRound, tighten
    from milp_planner.replaying.autoscaler import ScalingRules
    from milp_planner.replaying.engine import ReplayRouter
    from milp_planner.replaying.records import (
        PoolReplayed,
        ReactiveDay,
        Replay,
        ReplayFigure,
        ReplayLoss,
        ReplayMetric,
        ReplayWish,
        SpotReplayed,
        StretchReplayed,
        Undisturbed,
        WishReplayed,
    )
    from milp_planner.serving.operating_point import EngineRate
    from milp_planner.serving.shared_gpu import GpuMember, GpuSet
    from milp_planner.solving.checks.arguments import SolverChoice
    from milp_planner.solving.prepare import prepare
    from milp_planner.solving.results import Interrupted
    from milp_planner.traffic.digested import MonthPart, SizeBin, TraceDigest
    from milp_planner.traffic.forecast.futures import (
        ForecastBacktest,
        ForecastFutures,
        TrafficFuture,
        futures_from,
    )
    from milp_planner.traffic.forecast.history import HistoryPeriod, TrafficHistory
    from milp_planner.traffic.schedule import Demand, RequestClass, Schedule, TimeBlock

# fmt: off
__all__ = [
    "AboveBudget", "Alternatives", "AlternativesEnded", "AnyLlm", "ArgumentError", "AsksForUnits",
    "Band", "Batch", "BatchRun", "BatchesDone", "BestUse", "Billing", "BillingLimits",
    "BillingMode", "BlockShown", "Bought", "Breach", "BreakEven", "Budget", "BudgetStair",
    "BudgetStaircase", "BudgetStep", "Calendar", "CalendarInterrupted", "CalendarMonth",
    "CalendarOffering", "CalendarProof", "Calibrated", "Candidate", "CandidateList", "CasePart",
    "Catalog", "CatalogTooSmall", "Change", "CheapestFrom", "CheapestWay", "Choice",
    "ChoiceVerdict", "Choices", "ChoicesAsked", "ClassPrices", "ClassUnserved", "Commitment",
    "CommitmentCase", "CommitmentShown", "CommitmentUse", "CommittedPart", "CommittedUnits",
    "ComparedMeasurement", "ComparedPlan", "ConcurrentUsers", "ConfidenceCase", "ConfidenceRange",
    "CountPiece", "CountedFilter", "Crossovers", "CurrentUnits", "DaskExecutor", "Demand",
    "DeployedLlm", "DeploymentScenario", "DeploymentSettings", "DeploymentTable", "Diagnosis",
    "DocumentParts", "ElasticFleet", "ElasticFold", "EndReason", "EngineRate", "EngineReport",
    "EngineSaid", "EntryPrice", "EntryTraffic", "Estimate", "Evaluation", "Exported", "Fault",
    "FewestGpusFirst", "Filter", "FlatPart", "FlatRange", "Fleet", "FleetOrPerToken", "Floor",
    "FloorHour", "ForecastBacktest", "ForecastFutures", "Frontier", "FrontierEnd", "FutureCalendar",
    "FutureCase", "FutureOutcome", "FuturesPart", "FuturesPlan", "Gpu", "GpuLimits", "GpuMember",
    "GpuSet", "HeldInFlight", "HeldStep", "HistoryPeriod", "Horizon", "HostLimits", "HoursByUnits",
    "IfSlower", "InputError", "Interrupted", "Latency", "LatencyNotAssessed", "LeftAfterLoss",
    "Level", "LimitAsked", "LimitCost", "LimitCosts", "LimitInForce", "LimitInTheWay", "Limits",
    "LineWords", "Llm", "LlmsChosen", "Lora", "Loss", "Meanwhile", "MeasureNext", "MeasuredRate",
    "Measurement", "Misfit", "MonthPart", "NamedEstimate", "NearOptimal", "NoFleet", "NoFullLoad",
    "NotReached", "NothingIsStrict", "NothingServes", "Offering", "OtherEnd", "OutcomePart",
    "OverlayCounts", "OverloadCannotOccur", "OverloadPenalty", "OwnQuote", "OwnTerms",
    "PaidCommitment", "Patch", "Pattern", "Penalties", "Percentiles", "PerfectForesight", "Place",
    "Places", "Plan", "PlanDiff", "PlannedSpeed", "PlannerError", "PlanningInput", "Policy",
    "PoolReplayed", "Precision", "PriceAge", "PriceCaps", "Problem", "Profile", "Proof",
    "ProofShown", "Provenance", "ProviderLimits", "Purchase", "PurchaseChange", "QualityFile",
    "QuestionAsked", "QueueCut", "QueueTangent", "Quote", "RampSplit", "RatePoint", "RayExecutor",
    "ReactiveDay", "RecordInputError", "Refusal", "Refusals", "RentedUnits", "Replanned", "Replay",
    "ReplayFigure", "ReplayLoss", "ReplayMetric", "ReplayRouter", "ReplayWish", "ReplicaPrice",
    "RequestClass", "RequestSize", "RequestsPerSecond", "ResilienceCost", "Risk", "Route",
    "RoutingWithoutEffect", "Row", "RowLeftOut", "RowStatus", "RowWorth", "Rule", "Said", "SameAs",
    "SameElsewhere", "ScalingPenalty", "ScalingRules", "Scenario", "Schedule", "SellerAlias",
    "Sellers", "ServedInPart", "SharedUnitShown", "SharedUnits", "Sheet", "SheetAlternative",
    "SheetAnswer", "SheetChange", "SheetChoice", "SheetDiagnosis", "SheetLever", "SheetMisfit",
    "SheetPart", "SheetPurchase", "SheetRisks", "ShortBudget", "ShortfallPenalty", "Signing",
    "SizeBin", "SolverChoice", "SolverError", "SolverSettings", "SourcesShown", "Speculative",
    "SpotReplayed", "StalePrices", "StaleSpend", "Standing", "StandingShown", "StartUp", "Status",
    "StretchReplayed", "StrictLatencyPenalty", "StrictNeverHot", "Survival", "Switching",
    "TargetWithoutEffect", "Threshold", "ThresholdPart", "Tightened", "TightenedRound", "TimeBlock",
    "TimeNotJudged", "TimeReplayed", "TimeWish", "ToAsk", "ToMeasure", "Today", "TokenPrice",
    "TokensPerDay", "TokensPerMonth", "TooFewUnits", "Trace", "TraceColumns", "TraceDigest",
    "Traffic", "TrafficCourse", "TrafficCurve", "TrafficFuture", "TrafficHistory", "TrafficPoint",
    "TurnedDown", "Undisturbed", "Unfinished", "UnitChange", "UnitsKeptApart", "UnservedAtAPrice",
    "Utilization", "Value", "Verdict", "VolumeTier", "WaitIdle", "WaitKept", "WayToPay",
    "WaysCompared", "WhatIf", "WhatIfRow", "WhyNot", "WishJudged", "WishReplayed", "Workload",
    "WorkloadAsked", "WorkloadPlan", "WorkloadServed", "__version__", "budget_frontier",
    "calendar_schema", "calibrate", "choices", "compare_deployments", "confidence_range",
    "count_terms", "crossovers", "current_fleet_of", "decision_sheet", "diagnose", "estimate",
    "evaluate", "executor_at", "explain", "explain_limits", "floor", "futures_from", "load_catalog",
    "load_problem", "load_scenarios", "measure_next", "owned_usd_per_hour", "plan_diff", "plan_for",
    "plan_months", "plan_schema", "prepare", "reason_lines", "replanned", "replay", "scenario_grid",
    "sheet_schema", "solve", "tighten", "warning_lines", "weightiest_row", "what_if",
]
# fmt: on

if not TYPE_CHECKING:  # else a type checker would take every misspelt name for a public one

    def __getattr__(name: str) -> Any:
        for module, names in HOMES.items():
            if name in names.split():
                return getattr(import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
