"""The deployment of a workload: what can be stated, what is refused, and that every key acts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from milp_planner.cli import main
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.records import TokenPrice
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from milp_planner.inputs.problem.records import Problem
from milp_planner.questions.solve import solve
from milp_planner.reporting.text.plans.table import plan_text
from milp_planner.solving.prepare import prepare
from tests.support.serving.toys import SOURCE, catalog, measured


def problem(deployment: dict[str, Any] | None = None, **fields: Any) -> Problem:
    chat: dict[str, Any] = {
        "name": "chat",
        "llm": "toy",
        "precision": ["bf16"],
        "tensor_parallel": [1],
        "traffic": {"kind": "requests_per_second", "requests_per_second": 20},
        "requests": {"input_tokens": 800, "output_tokens": 200},
        "deployment": deployment or {},
    }
    limits = fields.pop("limits", {})
    return Problem(workloads=[{**chat, **fields}], limits=limits, alternatives={"count": 0})


def rate(deployment: dict[str, Any] | None = None, **fields: Any) -> float:
    """Planned requests/s of one replica."""
    given = prepare(problem(deployment, **fields), catalog())
    (candidate,) = given.candidates.candidates
    return candidate.points[0].requests_per_second


def test_the_label_says_engine_settings_and_what_is_not_default() -> None:
    assert DEFAULT_DEPLOYMENT.label == "vLLM, default settings"
    assert DeploymentSettings(engine="tensorrt-llm").label == "TensorRT-LLM, tuned"
    told = DeploymentSettings(
        engine="sglang",
        engine_version="0.5.9",
        tuning="tuned",
        kv_precision="fp8",
        memory_share=0.85,
        max_sequences=512,
        prefix_cache_share=0.25,
        lora={"adapters": 4, "rank": 16},
        speculative={"draft": 2, "acceptance": 0.6},
        expert_parallel=True,
    )
    assert told.label == (
        "SGLang 0.5.9, tuned, fp8 KV cache, 85% of the memory, at most 512 sequences, "
        "experts spread over the GPUs, 25% of the input cached, 4 LoRA adapters of rank 16, "
        "2 draft tokens, 60% accepted as stated"
    )


def test_the_tier_follows_engine_settings_and_release() -> None:
    tiers = {
        "default": ({}, {"engine": "sglang"}, {"engine_version": "0.8.5"}),
        "tuned": ({"engine": "tensorrt-llm"}, {"tuning": "tuned"}),
        "old": ({"engine_version": "0.6.3"},),
    }
    for tier, cases in tiers.items():
        for fields in cases:
            assert DeploymentSettings(**fields).tier == tier


def test_the_cache_is_8_bit_in_tensorrt_llm_under_8_and_4_bit_floats() -> None:
    compiled = DeploymentSettings(engine="tensorrt-llm")
    assert [compiled.kv_format(p) for p in ("fp8", "nvfp4", "mxfp4", "int4", "bf16")] == [
        *("fp8", "fp8", "fp8", "bf16", "bf16")
    ]
    assert DEFAULT_DEPLOYMENT.kv_format("fp8") == "bf16"
    assert DeploymentSettings(kv_precision="fp8").kv_format("bf16") == "fp8"


def test_a_step_yields_one_token_and_those_accepted_in_a_row() -> None:
    drafts = DeploymentSettings(speculative={"draft": 2, "acceptance": 0.5}).speculative
    assert drafts is not None
    assert drafts.tokens_per_step == pytest.approx(1 + 0.5 + 0.25)


@pytest.mark.parametrize(
    ("deployment", "better"),
    [
        ({"tuning": "tuned"}, True),
        ({"engine": "tensorrt-llm"}, True),
        ({"engine_version": "0.6.3"}, False),
        ({"max_sequences": 4}, False),
        ({"memory_share": 0.25}, False),
        ({"prefix_cache_share": 0.5}, True),
        ({"lora": {"adapters": 64, "rank": 256}}, False),
        ({"kv_precision": "fp8"}, True),
    ],
)
def test_every_key_acts_on_the_planned_rate(deployment: dict[str, Any], better: bool) -> None:
    long = {"requests": {"input_tokens": 9000, "output_tokens": 9000}}
    assert (rate(deployment, **long) > rate(**long)) == better
    assert rate(deployment, **long) != rate(**long)


def test_draft_tokens_help_where_reading_weights_takes_the_time_and_not_where_computing_does() -> (
    None
):
    drafts = {"speculative": {"draft": 3, "acceptance": 0.8}}
    fast = {"latency": {"tpot": 0.014}}
    assert rate(drafts, **fast) > rate(**fast)
    full = {"requests": {"input_tokens": 100, "output_tokens": 1000}}
    assert rate(drafts, **full) < rate(**full)


@pytest.mark.parametrize(
    ("deployment", "words"),
    [
        ({"engine": "tgi"}, "'tgi' is not one of vllm, sglang, tensorrt-llm"),
        ({"engine_version": "latest"}, "engine_version"),
        ({"engine": "tensorrt-llm", "tuning": "default"}, "has no default settings"),
        ({"memory_share": 1.2}, "memory_share"),
        ({"prefix_cache_share": 1.0}, "prefix_cache_share"),
        ({"speculative": {"draft": 3}}, "acceptance"),
        ({"units_per_replica": 0}, "units_per_replica"),
        ({"units_per_replica": 2, "pipeline_parallel": 3}, "1, or the 2 of units_per_replica"),
        ({"pipeline_parallel": 2}, "1, or the 1 of units_per_replica"),
        ({"gb_per_s_between_units": 50}, "unless units_per_replica joins 2 or more"),
    ],
)
def test_what_a_deployment_cannot_be_is_refused(deployment: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        problem(deployment)


def test_experts_are_spread_only_where_there_are_some() -> None:
    (row,) = prepare(problem({"expert_parallel": True}), catalog()).candidates.turned_down
    assert row.reason == "box tp 1 bf16: expert_parallel: toy has no experts"


def test_stated_rates_take_no_deployment_but_the_cached_share_of_an_api() -> None:
    rates = [{"gpu": "box", "requests_per_second": 3}]
    with pytest.raises(InputError, match="measured rates are taken at their word"):
        problem({"engine": "sglang"}, rates=rates, precision=None, tensor_parallel=None)
    problem({"prefix_cache_share": 0.9}, rates=rates, precision=None, tensor_parallel=None)


def test_infrascale_knows_no_deployment() -> None:
    traffic = {"kind": "concurrent_users", "users": 9, "tokens_per_s": 5}
    given = problem({"engine": "sglang"}, traffic=traffic).workloads
    with pytest.raises(InputError, match="infrascale's formulas know no deployment"):
        Problem(workloads=given, policy={"serving_model": "infrascale"})


def test_cached_input_is_priced_as_such_where_an_api_has_a_price_for_it() -> None:
    # 0.01 requests/s for 720 h are 25,920: 800 tokens of which 600 cached, and 200 generated
    given: dict[str, Any] = {
        "provider": "api",
        "llm": "toy",
        "usd_per_m_input_tokens": 10,
        "usd_per_m_output_tokens": 20,
        **SOURCE,
    }
    asked = problem(
        {"prefix_cache_share": 0.75},
        traffic={"kind": "requests_per_second", "requests_per_second": 0.01},
        limits={"billing": {"allow": ["per_token"]}},
    )
    cached = TokenPrice(usd_per_m_cached_tokens=1, **given)
    dollars = 25_920 * (200 * 10 + 600 * 1 + 200 * 20) / 1e6
    plan = solve(asked, catalog(token_prices=[cached]))
    assert plan.cash_usd_per_month == pytest.approx(dollars)
    whole = solve(asked, catalog(token_prices=[TokenPrice(**given)]))
    assert whole.cash_usd_per_month == pytest.approx(25_920 * (800 * 10 + 200 * 20) / 1e6)


def test_a_plan_says_what_its_rates_hold_for() -> None:
    plan = solve(problem(), catalog())
    assert "1 of 1 row estimated, planned at 0.72 of it; vLLM, default settings" in plan_text(plan)
    assert plan.to_dict()["purchases"][0]["deployment"] == "vLLM, default settings"


def test_a_published_row_counts_as_an_estimate_unless_the_deployment_is_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = measured(700, concurrency=64, engine="vllm", tuning="tuned")
    for deployment, source in (({}, "published"), ({"tuning": "tuned"}, "measured")):
        plan = solve(problem(deployment, latency={"tpot": 0.1}), catalog(row))
        (bought,) = plan.purchases
        assert bought.candidate.sources == (source,)


def test_the_check_of_a_catalog_names_rows_that_are_set_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "measurements.csv").write_text(
        "llm,gpu,precision,tensor_parallel,engine,regime,input_tokens,output_tokens,concurrency,"
        "output_tokens_per_second,tuning,as_of,source\n"
        "llama-3.1-8b,h100-80gb-sxm,fp8,1,sglang,fixed_concurrency,700,300,16,1500,tuned,"
        "2026-01-01,lab\n"
    )
    assert main(["catalog", "check", str(folder), "--json", "--verbose"]) == 0
    said = capsys.readouterr()
    assert "deepseek-v3 on b200-180gb-sxm fp8 tp 8, sglang" in said.err  # a shipped row
    assert "700/300 tokens" not in said.err  # the user's own are never set aside
    every = json.loads(said.out)["warnings"]
    assert said.err.splitlines() == [f"warning: {text}" for text in every]
    assert main(["catalog", "check", str(folder)]) == 0
    *kinds, more = capsys.readouterr().err.splitlines()
    counts = [int(line.split()[1]) for line in kinds]  # `warning: 28 rows set aside: …`
    assert (sum(counts), len(kinds) < 4) == (len(every), True)
    assert more == "--verbose names every row set aside"
