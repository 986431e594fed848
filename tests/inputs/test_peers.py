"""Inputs of other planners: read as ours, planned at least as cheaply, proven."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from milp_planner import InputError, Plan, Status, load_catalog, load_problem, reason_lines, solve
from milp_planner.inputs.catalog.writing import Imported
from milp_planner.inputs.imports.aibrix import import_aibrix
from milp_planner.inputs.imports.melange import import_melange
from tests.support.builders import catalog, offering, problem, raw

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the collected cases are not here")
DAY = date(2026, 3, 1)
HOURS = 720

TWO_GPUS = {
    "gpu_info": {
        "A10G": {"cost": 1.01, "tputs": [[2, 1], [5, 2]]},
        "A100-80GB": {"cost": 3.67, "tputs": [[20, 20], [40, 20]]},
    },
    "workload_distribution": [[0.2, 0.1], [0.5, 0.2]],
    "total_request_rate": 30.0,
    "slice_factor": 1,
}
"""Mélange's own example. 30 requests/s: 6, 3, 15 and 6 in the four buckets."""

SMALL_AND_LONG = {
    "gpu_info": {
        "small": {"cost": 1, "tputs": [[10, 0], [5, 1e-06]]},
        "long": {"cost": 5, "tputs": [[10, 4], [8, 2]]},
    },
    "workload_distribution": [[0.5, 0.25], [0, 0.25]],
    "total_request_rate": 8,
    "slice_factor": 4,
}
"""The small GPU cannot serve the second column; the third bucket has no traffic."""


def written(folder: Path, document: Any, name: str = "input.json") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def planned(imported: Imported, **settings: Any) -> Plan:
    question = load_problem(imported.problem_path)
    return solve(question, load_catalog(imported.catalog_path), alternatives=0, **settings)


def usd_per_hour(plan: Plan) -> float:
    assert plan.cash_usd_per_month is not None
    return plan.cash_usd_per_month / HOURS


def units(plan: Plan) -> dict[str, int]:
    return {p.candidate.gpu: p.units for p in plan.purchases}


# --- Mélange ----------------------------------------------------------------------------------


def test_melanges_example_needs_one_of_each(tmp_path: Path) -> None:
    # An A100 has 24 requests/s of its own mix, an A10G 2.9: 0.3 + 0.15 + 0.375 + 0.3 A100s are
    # 1.125. Whole slices leave the A10Gs half empty: $6.70/h. Split, one A10G takes 5 requests/s
    # of the third bucket, and the A100 is left with exactly 1.
    plan = planned(import_melange(written(tmp_path, TWO_GPUS), tmp_path / "new"))
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified
    assert units(plan) == {"a10g": 1, "a100-80gb": 1}
    assert usd_per_hour(plan) == pytest.approx(4.68)
    assert plan.workloads[0].utilization == pytest.approx(1.0)
    shares = {(r.candidate.gpu, r.request_class.name): r.share for r in plan.routes}
    assert shares["a10g", "100/25"] == pytest.approx(1 / 3)


def test_the_files_that_an_import_writes_are_ours(tmp_path: Path) -> None:
    imported = import_melange(written(tmp_path, TWO_GPUS), tmp_path / "new", as_of=DAY)
    assert imported.problem_path == tmp_path / "new" / "problem.yaml"
    assert imported.catalog_path == tmp_path / "new" / "catalog"
    assert imported.notes == (
        "the file states no request sizes: those that Mélange profiles are written",
    )
    question = load_problem(imported.problem_path)
    (w,) = question.workloads
    assert question.name == "input"
    assert question.catalog == "catalog"
    assert question.policy.utilization.highest == 1
    assert [(q.input_tokens, q.output_tokens, q.share) for q in w.classes] == [
        (25, 25, 0.2),
        (25, 100, 0.1),
        (100, 25, 0.5),
        (100, 100, 0.2),
    ]
    rented = load_catalog(imported.catalog_path)
    assert [(o.id, o.usd_per_hour) for o in rented.offerings] == [
        ("melange/a100-80gb/global", 3.67),
        ("melange/a10g/global", 1.01),
    ]
    assert {o.as_of for o in rented.offerings} == {DAY}
    assert {m.source for m in rented.measurements} == {"imported from input.json"}
    assert len(rented.measurements) == 8
    assert all(m.basis == "raw" for m in rented.measurements)


def test_the_callers_request_sizes_are_written(tmp_path: Path) -> None:
    imported = import_melange(
        written(tmp_path, TWO_GPUS),
        tmp_path / "new",
        input_tokens=[100, 1234567],
        output_tokens=[7.5, 20],
    )
    (w,) = load_problem(imported.problem_path).workloads
    assert [q.input_tokens for q in w.classes] == [100, 100, 1234567, 1234567]
    assert [q.output_tokens for q in w.classes] == [7.5, 20, 7.5, 20]
    assert imported.notes == ()
    assert usd_per_hour(planned(imported)) == pytest.approx(4.68)


def test_a_throughput_of_nothing_means_cannot_serve(tmp_path: Path) -> None:
    # 4 requests/s of short ones: 0.4 of a small. 2 and 2 of long ones: 0.5 + 1 of a long. Two long
    # ones have half a GPU to spare and do it all for $10/h; no small one is needed.
    imported = import_melange(written(tmp_path, SMALL_AND_LONG), tmp_path / "new")
    assert imported.notes[1:] == (
        "1 bucket without traffic left out",
        "small cannot serve 2 of 3 buckets (at most 1e-05 requests/s)",
    )
    plan = planned(imported)
    assert units(plan) == {"long": 2}
    # 12 requests/s: 0.6 of a small, and 0.75 + 1.5 = 2.25 of a long. Three long ones have 0.75 left
    # and take the short ones too.
    louder = {**SMALL_AND_LONG, "total_request_rate": 12}
    plan = planned(import_melange(written(tmp_path, louder), tmp_path / "louder"))
    assert units(plan) == {"long": 3}
    # 16: 0.8 of a small, exactly 3 of a long; without the small one a fourth long one is needed.
    loudest = {**SMALL_AND_LONG, "total_request_rate": 16}
    plan = planned(import_melange(written(tmp_path, loudest), tmp_path / "loudest"))
    assert units(plan) == {"long": 3, "small": 1}
    assert plan.workloads[0].utilization == pytest.approx(1.0)
    assert {r.request_class.name for r in plan.routes if r.candidate.gpu == "small"} == {"25/25"}


def test_a_bucket_that_no_gpu_serves_is_said_at_import_and_has_no_plan(tmp_path: Path) -> None:
    nobody = json.loads(json.dumps(SMALL_AND_LONG))
    nobody["gpu_info"]["long"]["tputs"][1][1] = 0
    imported = import_melange(written(tmp_path, nobody), tmp_path / "new")
    assert imported.notes[-1] == (
        "no GPU serves the bucket 100/100, 0.25 of the requests: no plan will do"
    )
    plan = planned(imported)
    assert plan.status is Status.INFEASIBLE
    assert reason_lines(plan) == (
        "workload 'requests': no allowed offering can serve requests of 100/100 tokens",
        "  long: no raw throughput for imported, requests of 100/100 tokens",
        "  small: no raw throughput for imported, requests of 100/100 tokens",
    )


def test_gpus_may_come_as_a_list_with_names(tmp_path: Path) -> None:
    gpus = [{"name": name, **gpu} for name, gpu in TWO_GPUS["gpu_info"].items()]  # type: ignore[attr-defined]
    document = {**TWO_GPUS, "gpu_info": gpus}
    plan = planned(import_melange(written(tmp_path, document), tmp_path / "new"))
    assert usd_per_hour(plan) == pytest.approx(4.68)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"workload_distribution": [[0.2, 0.1], [0.5, 0.1]]},
            "input.json: workload_distribution: the shares sum to 0.9, not to 1",
        ),
        (
            {"workload_distribution": [[0.2, 0.3], [0.5]]},
            "input.json: workload_distribution: must have 2 rows of 2 columns, as the others",
        ),
        (
            {"gpu_info": {"A10G": {"cost": 1.01, "tputs": [[2, 1]]}}},
            "input.json: gpu_info.A10G.tputs: must have 2 rows of 2 columns, as the others",
        ),
        (
            {"gpu_info": {"A10G": {"cost": 0, "tputs": [[2, 1], [5, -2]]}}},
            "input.json: gpu_info.A10G.cost: must be greater than 0 (is 0)\n"
            "input.json: gpu_info.A10G.tputs[1][1]: must be at least 0 (is -2)",
        ),
        ({"gpu_info": {}}, "input.json: gpu_info: names no GPU"),
        (
            {"total_request_rate": 0},
            "input.json: total_request_rate: must be greater than 0 (is 0)",
        ),
        ({"total_request_rate": None}, "input.json: total_request_rate: "),
    ],
)
def test_a_wrong_file_says_what_is_wrong_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, {**TWO_GPUS, **change})
    with pytest.raises(InputError) as error:
        import_melange("input.json", Path("new"))
    assert str(error.value).startswith(message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"gpu_info": ', "not valid JSON"),
        ("[1, 2]", "expected an object, found a list"),
        ('{"total_request_rate": NaN}', "not valid JSON: NaN is not a number"),
        ('{"gpu_info": {"a": 1, "a": 2}}', "'a' is given twice"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_no_such_json_is_an_input_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=r"input\.json") as error:
        import_melange(written(tmp_path, text), tmp_path / "new")
    assert message in str(error.value)


def test_an_import_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with pytest.raises(InputError, match="new: exists already; give another name"):
        import_melange(written(tmp_path, TWO_GPUS), tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(InputError, match=r"nope\.json: file not found"):
        import_melange(tmp_path / "nope.json", tmp_path / "other")


# --- AIBrix -----------------------------------------------------------------------------------


PROFILE = {
    "gpu": "vllm-a10",
    "cost": 2.0,
    "tputs": [[10.0, 8.0, 4.0], [5.0, 2.5, 0.0]],
    "indexes": [[32, 64], [128, 256, 512]],
    "created": 1748888478.2,
    "e2e": [[0.1, 0.2, 0.4], [0.2, 0.5, 9.9]],
    "slos": {"percentile": 99, "e2e": 5.0},
}
"""Rows are output sizes, columns input sizes; the longest of both misses the latency wish."""


def test_aibrix_profiles_have_outputs_in_rows(tmp_path: Path) -> None:
    imported = import_aibrix(written(tmp_path, PROFILE), tmp_path / "new", as_of=DAY)
    assert imported.notes == (
        "rates of vllm-a10 hold for e2e 5, percentile 99 (times in seconds)",
        "the file states no traffic: 1 request/s in equal parts is written; put in your own",
        "1 bucket without traffic left out",
    )
    rows = load_catalog(imported.catalog_path).measurements
    rates = {
        (m.input_tokens, m.output_tokens): m.output_tokens_per_second
        / ((m.input_tokens or 0) + (m.output_tokens or 0))
        for m in rows
    }
    assert rates[512, 32] == pytest.approx(4.0)
    assert rates[256, 64] == pytest.approx(2.5)
    assert (512, 64) not in rates
    # A fifth of a request/s of each: 0.02 + 0.025 + 0.05 + 0.04 + 0.08 of one GPU.
    plan = planned(imported)
    assert units(plan) == {"vllm-a10": 1}
    assert plan.workloads[0].utilization == pytest.approx(0.215)


def test_aibrix_profiles_may_come_one_a_line_and_must_agree_on_sizes(tmp_path: Path) -> None:
    other = {**PROFILE, "gpu": "vllm-l40s", "cost": 3.0}
    lines = "\n".join(json.dumps(profile) for profile in (PROFILE, other))
    imported = import_aibrix(written(tmp_path, lines), tmp_path / "new")
    assert len(load_catalog(imported.catalog_path).offerings) == 2
    longer = {**other, "indexes": [[32, 64], [128, 256, 1024]]}
    with pytest.raises(InputError, match="'vllm-l40s' has other request sizes than 'vllm-a10'"):
        import_aibrix(written(tmp_path, [PROFILE, longer]), tmp_path / "other")


def test_aibrix_traffic_is_read_where_the_file_states_it(tmp_path: Path) -> None:
    document = {
        "gpu_info": {"vllm-a10": PROFILE},
        "workload_distribution": [[0.5, 0, 0], [0, 0.5, 0]],
        "total_request_rate": 20,
    }
    # 10/s of 128/32 are one GPU, 10/s of 256/64 four.
    plan = planned(import_aibrix(written(tmp_path, document), tmp_path / "new"))
    assert units(plan) == {"vllm-a10": 5}
    assert plan.workloads[0].utilization == pytest.approx(1.0)
    short = {**document, "workload_distribution": [[0.5, 0.5]]}
    with pytest.raises(InputError, match="must have 2 rows, one per output size, of 3 columns"):
        import_aibrix(written(tmp_path, short), tmp_path / "short")
    lacking = {**document, "workload_distribution": [[0.5, 0, 0], [0, 0.4, 0]]}
    with pytest.raises(InputError, match=r"the shares sum to 0\.9, not to 1"):
        import_aibrix(written(tmp_path, lacking), tmp_path / "lacking")


# --- The published cases ----------------------------------------------------------------------

ANSWERS = (
    {
        row["file"]: float(row["split_usd_per_h"])
        for row in csv.DictReader((CASES / "melange_answers.csv").open())
    }
    if CASES.is_dir()
    else {}
)


@needs_cases
@pytest.mark.parametrize(
    "file",
    [
        # A hundred buckets take seconds each.
        pytest.param(file, marks=pytest.mark.slow) if "mixed" in file else file
        for file in ANSWERS
    ],
)
def test_on_melanges_tables_we_never_pay_more_than_the_split_form(
    tmp_path: Path, file: str
) -> None:
    plan = planned(import_melange(CASES / file, tmp_path / "new"))
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified
    assert usd_per_hour(plan) <= ANSWERS[file] + 1e-6
    assert usd_per_hour(plan) == pytest.approx(ANSWERS[file], abs=5e-4)


@needs_cases
def test_melanges_printed_costs_follow_from_its_printed_counts() -> None:
    # Prices of its paper, USD/h, as in its inputs.
    prices = {"l4-24gb": 0.70, "a10g-24gb": 1.01, "a100-80gb-sxm": 3.67, "h100-80gb-sxm": 7.516}
    rows = list(csv.DictReader((CASES / "melange_published.csv").open()))
    assert len(rows) == 36
    for row in rows:
        cost = sum(usd * int(row[gpu]) for gpu, usd in prices.items())
        assert cost == pytest.approx(float(row["printed_usd_per_h"]), abs=5e-4), row


ICML25_SIZES = [
    {"input_tokens": 1, "output_tokens": 1, "share": 0.8},
    {"input_tokens": 10, "output_tokens": 10, "share": 0.2},
]


def finished_within(seconds: float) -> Plan:
    """arXiv:2502.00722, section 4.2: 80 and 20 requests within a time, at the least cost.

    Configurations c1 to c3 are one GPU, c4 is two of t2 as one replica; two of each type exist.
    """
    rates = {("t1", 1): (1.0, 1.2), ("t2", 1): (0.9, 0.9), ("t3", 1): (0.3, 0.5)}
    rates["t2", 2] = (2.4, 1.5)
    prices = {"t1": 4.0, "t2": 2.0, "t3": 2.0}
    rented = catalog(
        [
            offering("cloud", gpu, n * prices[gpu], gpus_per_unit=n, name=f"{gpu}-x{n}")
            for gpu, n in rates
        ],
        [
            raw(gpu, rate, size=size, tensor_parallel=n)
            for (gpu, n), pair in rates.items()
            for size, rate in zip([(1, 1), (10, 10)], pair, strict=True)
        ],
    )
    stock = {"max_gpus": {"per_gpu": {"t1": 2, "t2": 2, "t3": 2}}}
    return solve(problem(100 / seconds, chat={"requests": ICML25_SIZES}, limits=stock), rented)


@pytest.mark.parametrize(
    ("seconds", "usd"), [(60, 4.0), (35, 6.0), (28.67, 8.0), (28.4315, 8.0), (28.42, 10.0)]
)
def test_the_icml25_example_asked_the_other_way_round(seconds: float, usd: float) -> None:
    plan = finished_within(seconds)
    assert plan.status is Status.OPTIMAL
    assert usd_per_hour(plan) == pytest.approx(usd)
    if usd == 8.0:
        assert units(plan) == {"t1": 1, "t2": 1}


@needs_cases
def test_the_icml25_case_is_the_one_we_ask() -> None:
    case = yaml.safe_load((CASES / "icml25_example.yaml").read_text())
    assert case["usd_per_hour"] == {"t1": 4, "t2": 2, "t3": 2}
    assert case["stock"] == {"t1": 2, "t2": 2, "t3": 2}
    assert case["requests"] == [80, 20]
    assert case["configurations"]["c4"] == {"gpus": {"t2": 2}, "requests_per_s": [2.4, 1.5]}
    assert case["published"]["finished_in_s"] == 28.67


AICONFIGURATOR = [
    ("a100-80gb-sxm", 1, 7.874286, 1.64),
    ("h100-80gb-sxm", 1, 24.296667, 2.69),
    ("h200-141gb-sxm", 1, 27.295, 3.99),
    ("b200-180gb-sxm", 1, 51.20, 5.98),
    ("l40s-48gb", 1, 3.101176, 0.86),
    ("l40s-48gb", 2, 6.42375, 0.86),
    ("rtxpro6000-96gb", 1, 10.05, 1.79),
]
"""GPU, GPUs per replica, requests/s per replica of an 8B, USD per GPU and hour."""


@pytest.mark.parametrize(
    ("requests_per_second", "single_type", "usd"),
    [
        (30, 5.37, 4.33),
        (75, 10.76, 8.67),
        (100, 11.96, 11.62),
        (200, 23.92, 22.98),
        (400, 45.73, 45.43),
    ],
)
def test_mixing_gpus_beats_aiconfigurators_best_single_type(
    requests_per_second: float, single_type: float, usd: float
) -> None:
    rented = catalog(
        [
            offering("cloud", gpu, n * price, gpus_per_unit=n, name=f"{gpu}-x{n}")
            for gpu, n, _, price in AICONFIGURATOR
        ],
        [raw(gpu, rate, tensor_parallel=n) for gpu, n, rate, _ in AICONFIGURATOR],
    )
    plan = solve(problem(requests_per_second), rented)
    assert plan.status is Status.OPTIMAL
    assert usd_per_hour(plan) == pytest.approx(usd, abs=1e-6)
    assert usd < single_type


@needs_cases
def test_the_aiconfigurator_table_is_the_one_we_plan_on() -> None:
    rows = csv.DictReader((CASES / "aiconfigurator_llama8b.csv").open())
    assert [tuple(row.values()) for row in rows] == [
        (gpu, str(n), row_text(rate), row_text(price)) for gpu, n, rate, price in AICONFIGURATOR
    ]


def row_text(value: float) -> str:
    return "51.20" if value == 51.20 else f"{value}"
