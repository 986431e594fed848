"""The golden numbers of InferenceAtlas on its reference catalog.

Money to 1e-6, utilization to 1e-9. Its LLM is llama_70b unless a test says otherwise. Without
request sizes a 'request' is one token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from milp_planner import (
    Catalog,
    Plan,
    Problem,
    Status,
    load_catalog,
    load_problem,
    reason_lines,
    solve,
    warning_lines,
)
from milp_planner.plans.records import band
from milp_planner.plans.sentences import alternatives_text

PROBLEMS = Path(__file__).resolve().parents[2] / "problems" / "inference-atlas"
GPUS = ["dedicated", "autoscaling"]
ANY = [*GPUS, "per_token"]

A100 = "fireworks/a100-80gb/global"
H100 = "fireworks/h100-80gb/global"
H200 = "fireworks/h200-141gb/global"
B200 = "fireworks/b200-180gb/global"
VAST = "vast_ai/a100-80gb/global"
RUNPOD = "runpod/a100-80gb/global"
REPLICATE = "replicate/a100-80gb/global"
MODAL = "modal/a100-40gb/global"
TOGETHER = "together/llama_70b/global"

H100_STEADY_TOKENS_PER_DAY = 15_937.5 * 86_400
"""What one H100 does in a day at 100 % utilization."""


@pytest.fixture(scope="module")
def atlas() -> Catalog:
    return load_catalog("inference-atlas")


def question(
    tokens_per_day: float, pattern: str = "steady", *, only: str = "*", **fields: Any
) -> Problem:
    """One workload under the reference's policy, served by `only` some offerings."""
    limits = {
        "billing": {"allow": fields.pop("billing", ANY)},
        "offerings": {"allow": [only]},
        **fields.pop("limits", {}),
    }
    traffic = {"kind": "tokens_per_day", "tokens_per_day": tokens_per_day, "pattern": pattern}
    chat = {"name": "chat", "llm": fields.pop("llm", "llama_70b"), "traffic": traffic}
    policy = {"preset": "inference-atlas", **fields.pop("policy", {})}
    alternatives = fields.pop("alternatives", {"count": 0})
    return Problem(workloads=[chat], policy=policy, limits=limits, alternatives=alternatives)


def fleet(plan: Plan) -> dict[str, int]:
    """Units by offering id; 0 for per-token use."""
    return {p.candidate.offering.id: p.units for p in plan.purchases}


def usd(value: float) -> Any:
    return pytest.approx(value, rel=1e-6)


def ratio(value: float) -> Any:
    return pytest.approx(value, abs=1e-9)


# --- Traffic and rates ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "peak", "h100", "a100"),
    [
        ("steady", 100, 15_937.5, 8_500),
        ("business_hours", 420.168067, 13_200, 7_040),
        ("bursty", 750, 14_175, 7_560),
    ],
)
def test_traffic_and_effective_rates(
    atlas: Catalog, pattern: str, peak: float, h100: float, a100: float
) -> None:
    for only, effective in ((H100, h100), (A100, a100)):
        plan = solve(question(8_640_000, pattern, only=only), atlas)
        (w,) = plan.workloads
        assert w.peak_requests_per_second == pytest.approx(peak, rel=1e-8)
        assert w.capacity_requests_per_second == pytest.approx(effective, rel=1e-12)
        assert plan.tokens_per_month == pytest.approx(8_640_000 * 30)


OTHER_TRAFFIC: list[dict[str, Any]] = [
    {"kind": "requests_per_second", "requests_per_second": 100},
    {"kind": "profile", "tokens_per_day": 8_640_000, "weights": [1] * 24},
]


@pytest.mark.parametrize("traffic", OTHER_TRAFFIC, ids=lambda traffic: traffic["kind"])
def test_raw_rates_take_the_factors_of_traffic_without_a_pattern(
    atlas: Catalog, traffic: dict[str, Any]
) -> None:
    factors = {"efficiency": "85%", "batch_multiplier": 1.25}
    for written, effective in (({}, 15_000), (factors, 15_937.5)):
        chat = {"name": "chat", "llm": "llama_70b", "traffic": {**traffic, **written}}
        asked = Problem(workloads=[chat], limits={"offerings": {"allow": [H100]}})
        (w,) = solve(asked, atlas).workloads
        assert w.peak_requests_per_second == pytest.approx(100)
        assert w.capacity_requests_per_second == pytest.approx(effective, rel=1e-12)


@pytest.mark.slow
def test_raw_rates_take_the_factors_of_a_trace(atlas: Catalog, tmp_path: Path) -> None:
    # 900 + 100 tokens a request: 15,000 tokens/s are 15 requests/s, x 0.70 x 1.35 are 14.175.
    recorded = tmp_path / "trace.csv"
    recorded.write_text("arrival_s,input_tokens,output_tokens\n0,900,100\n30,900,100\n")
    for written, effective in (({}, 15), ({"efficiency": 0.70, "batch_multiplier": 1.35}, 14.175)):
        traffic = {"kind": "trace", "file": str(recorded), **written}
        chat = {"name": "chat", "llm": "llama_70b", "traffic": traffic}
        asked = Problem(workloads=[chat], limits={"offerings": {"allow": [H100]}})
        (w,) = solve(asked, atlas).workloads
        assert w.capacity_requests_per_second == pytest.approx(effective, rel=1e-12)


# --- Counts and bands -------------------------------------------------------------------------


def test_a_ratio_of_1_8_takes_three_gpus_at_60_percent(atlas: Catalog) -> None:
    plan = solve(question(1.8 * H100_STEADY_TOKENS_PER_DAY, only=H100), atlas)
    assert fleet(plan) == {H100: 3}
    assert plan.workloads[0].utilization == ratio(0.60)
    assert plan.workloads[0].band == "medium"


@pytest.mark.parametrize(
    ("tokens_per_day", "gpus", "utilization", "name"),
    [(1_032_750_000, 1, 0.75, "medium"), (1_032_850_000, 2, 0.375036310821, "low")],
)
def test_exactly_at_the_target_is_allowed_and_a_little_more_is_not(
    atlas: Catalog, tokens_per_day: float, gpus: int, utilization: float, name: str
) -> None:
    plan = solve(question(tokens_per_day, only=H100), atlas)
    assert fleet(plan) == {H100: gpus}
    assert plan.workloads[0].utilization == ratio(utilization)
    assert plan.workloads[0].band == name


@pytest.mark.parametrize(
    ("utilization", "name"),
    [(0.50, "low"), (0.5000001, "medium"), (0.75, "medium"), (0.7500001, "high")],
)
def test_bands(atlas: Catalog, utilization: float, name: str) -> None:
    assert band(utilization) == name
    hot = {"utilization": {"target": 0.75, "ceiling": 0.90}}
    asked = question(utilization * H100_STEADY_TOKENS_PER_DAY, only=H100, policy=hot)
    plan = solve(asked, atlas)
    assert fleet(plan) == {H100: 1}
    assert plan.workloads[0].utilization == ratio(utilization)
    assert plan.workloads[0].band == name
    assert plan.score_usd_per_month == plan.cash_usd_per_month


# --- Every offering for 5M tokens a day -------------------------------------------------------


@pytest.mark.parametrize(
    ("only", "usd_per_month", "utilization", "idle_usd"),
    [
        (A100, 835.20, 0.0574110817166, 0),
        (H100, 1_152.00, 0.0306192436022, 0),
        (H200, 1_728.00, 0.0255160363185, 0),
        (B200, 2_592.00, 0.0183715461493, 0),
        (VAST, 1_260.00, 0.0574110817166, 756.00),
        (RUNPOD, 1_360.80, 0.0574110817166, 816.48),
        (REPLICATE, 7_257.60, 0.0574110817166, 4_354.56),
    ],
)
def test_the_bursty_scenario_on_every_gpu_offering(
    atlas: Catalog, only: str, usd_per_month: float, utilization: float, idle_usd: float
) -> None:
    # 434.03 tokens/s at the peak, in 288 of 720 hours; a third of it on average while active.
    plan = solve(question(5_000_000, "bursty", only=only), atlas)
    (bought,) = plan.purchases
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == plan.score_usd_per_month == usd(usd_per_month)
    assert plan.tokens_per_month == pytest.approx(150e6)
    assert plan.workloads[0].utilization == ratio(utilization)
    assert plan.workloads[0].band == "low"
    assert plan.billing_idle_usd == bought.billing_idle_usd == pytest.approx(idle_usd, rel=1e-6)
    mean = utilization / 3 * (1 if idle_usd == 0 else 0.4)
    assert bought.capacity_idle == plan.capacity_idle == ratio(1 - mean)


def test_the_idle_part_of_a_dedicated_unit_is_60_percent_of_its_rent(atlas: Catalog) -> None:
    plan = solve(question(5_000_000, "bursty", only=VAST), atlas)
    (bought,) = plan.purchases
    assert [(b.name, b.hours) for b in plan.blocks] == [("active", 288), ("idle", 432)]
    assert bought.unit_hours == 720
    assert bought.billing_idle_hours == pytest.approx(432)
    assert plan.billing_idle_usd / plan.cash_usd_per_month == pytest.approx(0.60)


def test_tokens_at_an_api_have_no_units_no_utilization_and_no_band(atlas: Catalog) -> None:
    plan = solve(question(5_000_000, "bursty"), atlas)
    assert fleet(plan) == {TOGETHER: 0}
    assert plan.cash_usd_per_month == usd(132.00)
    assert plan.usd_per_million_tokens == usd(0.88)
    assert plan.workloads[0].utilization is None
    assert plan.workloads[0].band == "not assessed"
    assert plan.capacity_idle is None


def test_a_gpu_with_too_little_memory_says_how_little(atlas: Catalog) -> None:
    plan = solve(question(5_000_000, "bursty", only=MODAL), atlas)
    assert plan.status is Status.INFEASIBLE
    (reason,) = [t.reason for t in plan.turned_down if t.offering.id == MODAL]
    assert reason == "a100-40gb: needs 80 GB, the GPU has 40 GB"


@pytest.mark.parametrize(
    ("only", "usd_per_month", "idle_usd"),
    [(A100, 496.944, 0), (H100, 685.44, 0), (RUNPOD, 1_360.80, 1_036.9296)],
)
def test_business_hours(atlas: Catalog, only: str, usd_per_month: float, idle_usd: float) -> None:
    plan = solve(question(5_000_000, "business_hours", only=only), atlas)
    assert plan.blocks[0].hours == pytest.approx(171.36)
    assert plan.cash_usd_per_month == usd(usd_per_month)
    assert plan.billing_idle_usd == pytest.approx(idle_usd, rel=1e-6)
    assert idle_usd == 0 or idle_usd / usd_per_month == pytest.approx(0.762, abs=1e-9)


def test_per_token_and_a_dedicated_gpu_break_even(atlas: Catalog) -> None:
    # $1,260 buys 1,431.8M tokens at $0.88 per million: 47,727,272.73 a day.
    either = {"offerings": {"allow": [VAST, TOGETHER]}}
    below, above = (
        solve(question(47_727_272.73 + tokens, limits=either), atlas) for tokens in (-1e3, 1e3)
    )
    assert fleet(below) == {TOGETHER: 0}
    assert below.cash_usd_per_month == usd(1_260 - 0.0264)
    assert fleet(above) == {VAST: 1}
    assert above.cash_usd_per_month == usd(1_260)
    alone = solve(question(47_727_272.727272727, only=TOGETHER), atlas)
    assert alone.cash_usd_per_month == usd(1_260)


@pytest.mark.parametrize(
    ("llm", "only", "fits"),
    [
        ("llama_70b", VAST, True),
        ("mixtral_8x7b", VAST, False),
        ("mixtral_8x7b", H200, True),
        ("llama_405b", B200, False),
    ],
)
def test_memory_at_the_edge(atlas: Catalog, llm: str, only: str, fits: bool) -> None:
    plan = solve(question(1_000_000, llm=llm, only=only), atlas)
    assert plan.status is (Status.OPTIMAL if fits else Status.INFEASIBLE)


# --- Budget -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "kept"),
    [(900, [TOGETHER, A100]), (835.20, [TOGETHER, A100]), (500, [TOGETHER])],
)
def test_a_budget_keeps_what_it_can_pay(atlas: Catalog, budget: float, kept: list[str]) -> None:
    limits = {"budget": {"usd_per_month": budget}}
    asked = question(5_000_000, "bursty", limits=limits, alternatives={"count": 5})
    plan = solve(asked, atlas)
    assert [list(fleet(p)) for p in (plan, *plan.alternatives)] == [[name] for name in kept]
    assert alternatives_text(plan) == "no further plan differs by offerings"


def test_a_cent_too_little_is_infeasible_and_says_so(atlas: Catalog) -> None:
    limits = {"budget": {"usd_per_month": 131.99}}
    plan = solve(question(5_000_000, "bursty", limits=limits), atlas)
    assert plan.status is Status.INFEASIBLE
    assert (
        "the cheapest plan costs $132.00 per month, $0.01 above the budget of $131.99"
        in (reason_lines(plan)[0])
    )


# --- Mixed fleets -----------------------------------------------------------------------------


def cheapest_single_type(atlas: Catalog, tokens_per_day: float, pattern: str) -> Plan:
    plans = [solve(question(tokens_per_day, pattern, only=o.id), atlas) for o in atlas.offerings]
    return min((p for p in plans if p.status.has_plan), key=lambda p: p.score_usd_per_month or 0)


def test_a_steady_mix_beats_the_best_single_type(atlas: Catalog) -> None:
    # 56,250 tokens/s want 75,000 at 75 %. Nine A100s would pay $50,000 for the ninth GPU.
    single = cheapest_single_type(atlas, 4_860_000_000, "steady")
    assert fleet(single) == {H100: 5}
    assert single.score_usd_per_month == usd(14_400)
    asked = question(4_860_000_000, billing=GPUS, alternatives={"count": 3, "differ_by": "counts"})
    plan = solve(asked, atlas)
    assert fleet(plan) == {H100: 1, VAST: 7}
    assert plan.cash_usd_per_month == plan.score_usd_per_month == usd(11_700)
    assert plan.workloads[0].utilization == ratio(0.7456503728252)
    next_best = [11_800.80, 11_901.60, 12_002.40]
    assert [p.score_usd_per_month for p in plan.alternatives] == [usd(x) for x in next_best]
    assert [fleet(p)[RUNPOD] for p in plan.alternatives] == [1, 2, 3]


def test_splitting_over_offerings_does_not_dodge_the_scaling_penalty(atlas: Catalog) -> None:
    one = solve(question(4_860_000_000, only=VAST), atlas)
    two = solve(question(4_860_000_000, only="*a100-80gb*"), atlas)
    for plan in (one, two):
        assert plan.gpus == 9
        assert plan.costs["scaling"] == usd(50_000)
        assert plan.score_usd_per_month == usd(61_340)


def test_a_bursty_mix_beats_the_best_single_type(atlas: Catalog) -> None:
    # 43,402.78 tokens/s at the peak want 57,870.37 at 75 %, in 288 hours.
    single = cheapest_single_type(atlas, 500_000_000, "bursty")
    assert fleet(single) == {H100: 5}
    assert single.score_usd_per_month == usd(5_760)
    asked = question(
        500_000_000, "bursty", billing=GPUS, alternatives={"count": 2, "differ_by": "counts"}
    )
    plan = solve(asked, atlas)
    assert fleet(plan) == {H100: 3, H200: 1}
    assert plan.score_usd_per_month == usd(5_184)
    assert [p.score_usd_per_month for p in plan.alternatives] == [usd(5_443.20), usd(5_644.80)]


def test_a_share_of_the_peak_goes_to_an_api(atlas: Catalog) -> None:
    plan = solve(question(500_000_000, "bursty"), atlas)
    assert fleet(plan) == {H100: 4, TOGETHER: 0}
    api = next(p for p in plan.purchases if p.candidate.mode.per_token)
    assert api.requests_share == pytest.approx(0.020224, abs=1e-9)
    assert plan.cash_usd_per_month == usd(4_874.9568)
    assert plan.costs["rent"] == usd(4_608)


def test_what_one_gpu_cannot_carry_overflows_to_an_api(atlas: Catalog) -> None:
    # One vast A100 carries 550.8M tokens a day at 75 %; a second one for 11M more costs $1,260.
    gpus_only = solve(question(561_816_000, billing=GPUS), atlas)
    assert fleet(gpus_only) == {VAST: 2}
    assert gpus_only.cash_usd_per_month == usd(2_520)
    plan = solve(question(561_816_000), atlas)
    assert fleet(plan) == {TOGETHER: 0, VAST: 1}
    api = next(p for p in plan.purchases if p.candidate.mode.per_token)
    assert api.requests_share * 561_816_000 == pytest.approx(11_016_000, rel=1e-6)
    assert plan.cash_usd_per_month == usd(1_550.8224)
    assert plan.workloads[0].utilization == ratio(0.75)


# --- The six scenarios ------------------------------------------------------------------------


SCENARIOS = {
    "llama-8b-steady": ({VAST: 1}, 1_260.00, 10 / 21_250),
    "llama-70b-bursty": ({TOGETHER: 0}, 132.00, None),
    "llama-405b-steady": ({}, None, None),
    "llama-70b-business-hours": ({TOGETHER: 0}, 132.00, None),
    "llama-70b-strict": ({TOGETHER: 0}, 228.096, None),
    "mixtral-8x7b-steady": ({H200: 1}, 4_320.00, 0.0340413943355),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_shipped_scenarios(atlas: Catalog, name: str) -> None:
    units, usd_per_month, utilization = SCENARIOS[name]
    problem = load_problem(PROBLEMS / f"{name}.yaml")
    assert (problem.name, problem.catalog) == (name, "inference-atlas")
    plan = solve(problem, atlas)
    if usd_per_month is None:
        assert plan.status is Status.INFEASIBLE
        assert "  b200-180gb: needs 400 GB, the GPU has 180 GB (1 offering)" in reason_lines(plan)
        return
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified
    assert fleet(plan) == units
    assert plan.cash_usd_per_month == plan.score_usd_per_month == usd(usd_per_month)
    (w,) = plan.workloads
    assert w.utilization == (None if utilization is None else ratio(utilization))


def test_every_shipped_scenario_is_checked() -> None:
    assert {path.stem for path in PROBLEMS.glob("*.yaml")} == set(SCENARIOS)


def test_the_published_ranking_of_the_bursty_scenario_is_recomputed(atlas: Catalog) -> None:
    problem = load_problem(PROBLEMS / "llama-70b-bursty.yaml")
    plan = solve(problem, atlas, alternatives=9)
    costs = [p.cash_usd_per_month for p in (plan, *plan.alternatives)]
    expected = [132.00, 835.20, 1_152, 1_260, 1_360.80, 1_728, 2_592, 7_257.60]
    assert costs == [usd(x) for x in expected]


def test_a_strict_workload_at_an_api_is_flagged(atlas: Catalog) -> None:
    plan = solve(load_problem(PROBLEMS / "llama-70b-strict.yaml"), atlas)
    flag = (
        "workload 'chat' has a strict latency requirement; the latency of "
        "together/llama_70b/global is not assessed"
    )
    assert flag in warning_lines(plan)
    vast = plan.alternatives[0]
    assert fleet(vast) == {VAST: 1}
    assert vast.workloads[0].utilization == ratio(100 / 8_500)
    assert flag not in warning_lines(vast)
