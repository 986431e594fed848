"""Where the public names live."""

from __future__ import annotations

HOMES = {
    "candidates.batch.runs": "BatchRun",
    "candidates.paying.commitments": "PaidCommitment",
    "candidates.prices": "ReplicaPrice",
    "candidates.records": (
        "Candidate CandidateList HeldInFlight Meanwhile PlanningInput RatePoint TurnedDown"
    ),
    "candidates.sharing.shared_units": "SharedUnits",
    "errors": "ArgumentError Fault InputError PlannerError RecordInputError SolverError",
    "futures.months.answer": "CalendarInterrupted",
    "inputs.catalog.billing": "BillingMode",
    "inputs.catalog.files": "load_catalog",
    "inputs.catalog.identity.places": "Place Places",
    "inputs.catalog.identity.quotes": "Quote",
    "inputs.catalog.identity.sellers": "SellerAlias Sellers",
    "inputs.catalog.overlaid.counts": "OverlayCounts",
    "inputs.catalog.owned": "owned_usd_per_hour",
    "inputs.catalog.records": "Billing Catalog Gpu Llm Measurement Offering TokenPrice",
    "inputs.one_line": "LineWords",
    "inputs.problem.commitments": "Commitment",
    "inputs.problem.comparisons": "ChoicesAsked Today",
    "inputs.problem.deployment": (
        "AnyLlm DeploymentSettings Lora MeasuredRate QualityFile Speculative"
    ),
    "inputs.problem.host": "HostLimits",
    "inputs.problem.latency": "Latency Percentiles TimeWish",
    "inputs.problem.load": "load_problem",
    "inputs.problem.patching": "Patch",
    "inputs.problem.policy": (
        "OverloadPenalty Penalties Policy ScalingPenalty ShortfallPenalty StartUp "
        "StrictLatencyPenalty Utilization"
    ),
    "inputs.problem.prices": "OwnTerms PriceCaps VolumeTier",
    "inputs.problem.records": (
        "Alternatives BillingLimits Budget CountedFilter CurrentUnits Filter GpuLimits Limits "
        "Precision Problem ProviderLimits SolverSettings Survival Switching "
        "Workload"
    ),
    "inputs.problem.traffic": (
        "Batch ConcurrentUsers Pattern Profile RequestSize RequestsPerSecond TokensPerDay "
        "TokensPerMonth Trace TraceColumns Traffic"
    ),
    "inputs.problem.uncertain.futures": "FutureCase Risk Value",
    "inputs.problem.uncertain.horizon": "Horizon TrafficCourse",
    "inputs.problem.uncertain.quotes": "OwnQuote",
    "milp.program.language.class_prices": "ClassPrices",
    "milp.program.language.folds": "ElasticFleet ElasticFold HeldStep",
    "milp.program.language.loosening": "LimitInForce",
    "milp.program.language.pieces": "CountPiece",
    "milp.program.language.rows": "Row count_terms",
    "milp.program.language.rule": "Rule Standing",
    "milp.program.language.queue_cuts": "QueueCut QueueTangent",
    "milp.program.language.variables": "AsksForUnits Fleet Level RampSplit",
    "plans.calendars.documents": "calendar_schema",
    "plans.calendars.records": (
        "Calendar CalendarMonth CalendarOffering CalendarProof FutureCalendar OtherEnd "
        "RentedUnits Signing"
    ),
    "plans.changes": "current_fleet_of",
    "plans.consequences": (
        "CommitmentUse DocumentParts Loss ResilienceCost StalePrices UnitChange"
    ),
    "plans.deployed.records": "DeployedLlm Exported",
    "plans.diagnosis": "Change Diagnosis Misfit",
    "plans.document": "plan_schema",
    "plans.futures.documents": (
        "CasePart CommittedPart FlatPart FuturesPart OutcomePart ThresholdPart"
    ),
    "plans.futures.records": (
        "CommitmentCase CommittedUnits FlatRange FutureOutcome FuturesPlan Threshold"
    ),
    "plans.measure_next": "MeasureNext measure_next",
    "plans.proof": "EngineReport Proof Provenance",
    "plans.reasons": (
        "AboveBudget AlternativesEnded BatchesDone CatalogTooSmall ClassUnserved EndReason "
        "FewestGpusFirst LatencyNotAssessed LimitInTheWay LlmsChosen NearOptimal NoFleet "
        "NoFullLoad NothingIsStrict NothingServes OverloadCannotOccur PerfectForesight "
        "Refusals RoutingWithoutEffect Said SameAs ServedInPart ShortBudget StrictNeverHot "
        "TargetWithoutEffect TimeNotJudged TimeReplayed TooFewUnits UnitsKeptApart "
        "UnservedAtAPrice WaitIdle WaitKept"
    ),
    "plans.records": "Band Plan Purchase Route Status WorkloadPlan",
    "plans.sentences": "reason_lines warning_lines",
    "plans.sheet.base": "SheetPart",
    "plans.sheet.compared": "ComparedPlan PlanDiff PurchaseChange plan_diff",
    "plans.sheet.no_plan": "SheetChange SheetDiagnosis SheetMisfit",
    "plans.sheet.other_parts": (
        "BudgetStair BudgetStaircase CheapestWay IfSlower LeftAfterLoss PriceAge RowLeftOut "
        "SameElsewhere SheetAlternative SheetChoice SheetLever SheetRisks ToAsk ToMeasure "
        "TrafficCurve TrafficPoint WaysCompared WishJudged"
    ),
    "plans.sheet.plan_parts": (
        "BlockShown Bought CommitmentShown EngineSaid HoursByUnits LimitAsked ProofShown "
        "QuestionAsked SharedUnitShown SheetAnswer SheetPurchase SourcesShown StaleSpend "
        "StandingShown WorkloadAsked WorkloadServed"
    ),
    "plans.sheet.records": "Sheet sheet_schema",
    "questions.choices.choices": "choices",
    "questions.choices.records": "Choice ChoiceVerdict Choices",
    "questions.confidence": "ConfidenceCase ConfidenceRange confidence_range weightiest_row",
    "questions.deployments.calibrate": ("Calibrated ComparedMeasurement PlannedSpeed calibrate"),
    "questions.deployments.comparison": (
        "DeploymentScenario DeploymentTable NamedEstimate compare_deployments"
    ),
    "questions.deployments.estimate": "estimate",
    "questions.deployments.records": "Estimate",
    "questions.deployments.replanned": "Replanned replanned",
    "questions.evaluate": "Breach Evaluation evaluate",
    "questions.floor": "Floor FloorHour floor",
    "questions.months": "plan_months",
    "questions.plan_for": "plan_for",
    "questions.reasons.entry_price": "EntryPrice EntryTraffic",
    "questions.reasons.explain": "BestUse NotReached Refusal Verdict WhyNot explain",
    "questions.reasons.limit_costs": "LimitCost LimitCosts explain_limits",
    "questions.replay": "replay",
    "questions.row_worth": "RowWorth",
    "questions.sheet.builder": "decision_sheet",
    "questions.solve": "diagnose solve",
    "questions.sweeps.break_even": "BreakEven FleetOrPerToken",
    "executors.clusters": "DaskExecutor RayExecutor",
    "executors.places": "executor_at",
    "questions.sweeps.frontier": "BudgetStep Frontier FrontierEnd Unfinished budget_frontier",
    "questions.sweeps.rows": "RowStatus WhatIf WhatIfRow",
    "questions.sweeps.scenarios": "Scenario load_scenarios scenario_grid",
    "questions.sweeps.ways": "CheapestFrom Crossovers WayToPay crossovers",
    "questions.sweeps.what_if": "what_if",
    "questions.tighten": "Tightened TightenedRound tighten",
    "replaying.autoscaler": "ScalingRules",
    "replaying.engine": "ReplayRouter",
    "replaying.records": (
        "PoolReplayed ReactiveDay Replay ReplayFigure ReplayLoss ReplayMetric ReplayWish "
        "SpotReplayed StretchReplayed Undisturbed WishReplayed"
    ),
    "serving.operating_point": "EngineRate",
    "serving.shared_gpu": "GpuMember GpuSet",
    "solving.checks.arguments": "SolverChoice",
    "solving.prepare": "prepare",
    "solving.results": "Interrupted",
    "traffic.digested": "MonthPart SizeBin TraceDigest",
    "traffic.forecast.futures": ("ForecastBacktest ForecastFutures TrafficFuture futures_from"),
    "traffic.forecast.history": "HistoryPeriod TrafficHistory",
    "traffic.schedule": "Demand RequestClass Schedule TimeBlock",
}
"""Where each public name lives: names by module, apart by spaces."""
