"""What replicas run, and when, stands in a plan's document and comes back."""

from __future__ import annotations

import json

import pytest

from milp_planner import DeployedLlm, InputError, Plan, load_problem, solve


@pytest.fixture(scope="module")
def plan() -> Plan:
    return solve(load_problem("problems/day-and-night.yaml"), alternatives=0)


def test_a_plan_tells_repository_weights_and_settings(plan: Plan) -> None:
    deployed = plan.workloads[0].deployed
    assert deployed is not None
    assert deployed.hf_id == "meta-llama/Llama-3.3-70B-Instruct"
    assert (deployed.native_precision, deployed.context_tokens) == ("bf16", 131072)
    assert deployed.settings is not None
    assert deployed.settings.engine == "vllm"


def test_settings_and_clock_come_back_from_the_document(plan: Plan) -> None:
    back = Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert back.block_by_hour == plan.block_by_hour
    assert len(plan.block_by_hour) in (24, 168)
    assert [w.deployed for w in back.workloads] == [w.deployed for w in plan.workloads]


def test_where_rates_are_stated_no_setting_holds() -> None:
    plan = solve(load_problem("problems/measured-rates.yaml"), alternatives=0)
    assert plan.workloads[0].deployed == DeployedLlm("", "", None, None)


def test_a_document_without_them_is_read(plan: Plan) -> None:
    document = plan.to_dict()
    del document["block_by_hour"]
    for w in document["workloads"]:
        del w["deployed"]
    back = Plan.from_dict(document)
    assert back.block_by_hour == ()
    assert back.workloads[0].deployed is None


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("block_by_hour", [0] * 23, "block_by_hour: expected 24 or 168 whole numbers from 0 to "),
        ("block_by_hour", [99] * 24, "block_by_hour: expected 24 or 168 whole numbers from 0 to "),
        ("engine", "wllm", "workloads.chat.deployed.settings.engine: "),
    ],
)
def test_what_no_plan_has_is_refused(plan: Plan, key: str, value: object, said: str) -> None:
    document = plan.to_dict()
    if key == "engine":
        document["workloads"][0]["deployed"]["settings"]["engine"] = value
    else:
        document[key] = value
    with pytest.raises(InputError) as refused:
        Plan.from_dict(document)
    assert said in str(refused.value)
