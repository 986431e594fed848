"""Next-best plans as lines: the same GPUs at another seller are one line."""

from __future__ import annotations

from milp_planner import decision_sheet, solve
from milp_planner.questions.sheet.folding import is_like, lines_of
from tests.support.builders import catalog, offering, problem, raw


def market():
    """Big serves 10 requests/s, mid 10, small 3; three sellers of big."""
    return catalog(
        [
            offering("acme", "big", 4.0),
            offering("bolt", "big", 4.1),
            offering("cove", "big", 4.3),
            offering("acme", "mid", 5.0),
            offering("acme", "small", 2.0),
        ],
        [raw("big", 10), raw("mid", 10), raw("small", 3)],
    )


def test_the_same_gpu_at_other_sellers_is_the_plans_own_line():
    # 10 requests/s: one big, at acme $2,880, bolt $2,952, cove $3,096; then one mid, $3,600; then
    # four small, $5,760. The lines: big, mid, small.
    sheet = decision_sheet(problem(10, alternatives={"count": 2}), market(), with_choices=False)
    assert [line.fleet[0].gpu for line in sheet.alternatives] == ["big", "mid", "small"]
    first = sheet.alternatives[0]
    assert [(one.names, round(one.extra_usd_per_month)) for one in first.elsewhere] == [
        (("bolt",), 72),
        (("cove",), 216),
    ]
    extras = [round(line.extra_usd_per_month) for line in sheet.alternatives]
    assert extras == [0, 720, 2880]
    assert all(line.proven for line in sheet.alternatives)


def test_fewer_lines_than_asked_for_are_said():
    sheet = decision_sheet(problem(10, alternatives={"count": 9}), market(), with_choices=False)
    assert len(sheet.alternatives) == 3
    assert sheet.alternatives_notes == (
        "4 next-best plans looked at: 2 different fleets beside the plan's",
        "no further plan differs by offerings",
    )


def test_lines_keep_every_plan_once_and_their_order():
    plan = solve(problem(10, alternatives={"count": 4}), market())
    lines = lines_of(plan, plan.alternatives)
    scores = [line[0].score_usd_per_month for line in lines]
    assert scores == sorted(scores)
    assert sorted(id(one) for line in lines for one in line) == sorted(
        map(id, (plan, *plan.alternatives))
    )


def test_the_same_gpus_at_fewer_of_its_sellers_are_named_by_these():
    # 13 requests/s: acme's big and bolt's small, $5.50/h; the same at bolt alone, $5.90/h.
    known = catalog(
        [
            offering("acme", "big", 4.0),
            offering("bolt", "big", 4.4),
            offering("bolt", "small", 1.5),
        ],
        [raw("big", 10), raw("small", 3)],
    )
    sheet = decision_sheet(problem(13, alternatives={"count": 1}), known, with_choices=False)
    [other] = sheet.alternatives[0].elsewhere
    assert (other.names, round(other.extra_usd_per_month)) == (("bolt",), 288)


def test_boxes_of_another_size_are_the_same_gpus():
    pair = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "big", 9.0, gpus_per_unit=2)],
        [raw("big", 10)],
    )
    # 20 requests/s: two big at acme, $8/h, or one box of two at bolt, $9/h.
    plan = solve(problem(20, alternatives={"count": 1}), pair)
    assert is_like(plan, plan.alternatives[0], plan.score_usd_per_month or 0.0)


def test_another_gpu_for_a_trifle_of_the_money_is_the_same_line():
    # 1,003 requests/s: 100 big, $400/h, and for the rest one small, $1.50/h, or one tiny, $1.51/h:
    # 0.4 % of the money, 0.0025 % dearer.
    sold = catalog(
        [
            offering("acme", "big", 4.0),
            offering("acme", "small", 1.50),
            offering("acme", "tiny-3", 1.51),
        ],
        [raw("big", 10), raw("small", 3), raw("tiny-3", 3)],
    )
    plan = solve(problem(1003, alternatives={"count": 1}), sold)
    assert {p.candidate.gpu for p in plan.alternatives[0].purchases} == {"big", "tiny-3"}
    assert len(lines_of(plan, plan.alternatives)) == 1


def test_other_types_of_gpu_for_half_of_the_money_are_another_line_however_near():
    # 15 requests/s: 1 big and 1 small, $6.00/h; or 3 small, $6.003/h: 0.05 % dearer.
    sold = catalog(
        [offering("acme", "big", 3.999), offering("acme", "small", 2.001)],
        [raw("big", 10), raw("small", 5)],
    )
    plan = solve(problem(15, alternatives={"count": 1}), sold)
    [other] = plan.alternatives
    assert (other.score_usd_per_month or 0) - (plan.score_usd_per_month or 0) < 3
    assert len(lines_of(plan, plan.alternatives)) == 2
