"""Where any of several LLMs serves a workload, each pool runs its own, in every format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from milp_planner import Catalog, DeployedLlm, Plan, solve
from tests.support.builders import catalog, llm, offering, problem, raw
from tests.support.shown.exported import ON_DEMAND, SETTINGS, bought, documents, fleet

LEAN = DeployedLlm("acme/Lean-8B", "fp8", 32_768, SETTINGS)
RICH = DeployedLlm("acme/Rich-70B", "bf16", 131_072, SETTINGS)


def two_llms(engine: str = "vllm") -> Plan:
    """Two units of one shape, one for each LLM of the workload."""
    settings = SETTINGS.model_copy(update={"engine": engine})
    each = {n: replace(one, settings=settings) for n, one in (("lean", LEAN), ("rich", RICH))}
    plan = fleet(*(bought(replace(ON_DEMAND, llm=name), 1, 1) for name in each))
    deployed = DeployedLlm("", "", None, settings, each)
    one = replace(plan.workloads[0], llm="lean + rich", deployed=deployed)
    return replace(plan, workloads=(one,))


@pytest.mark.parametrize(
    "name",
    [
        *("vllm", "sglang", "kubernetes", "llm-d", "production-stack"),
        *("aibrix", "skyserve", "dstack", "litellm"),
    ],
)
def test_each_pool_names_its_own_repository(name: str, tmp_path: Path) -> None:
    found = two_llms("sglang" if name == "sglang" else "vllm").export(name, tmp_path / "out")
    texts = [path.read_text() for path in found.files if path.name != "README.md"]
    assert not any("REPOSITORY" in text or "lean + rich" in text for text in texts)
    held = [{one for one in ("acme/Lean-8B", "acme/Rich-70B") if one in text} for text in texts]
    assert set().union(*held) == {"acme/Lean-8B", "acme/Rich-70B"}
    if name not in ("production-stack", "litellm"):  # one file holds all pools there
        assert all(len(one) < 2 for one in held)


def test_the_format_and_the_length_are_those_of_the_pools_llm(tmp_path: Path) -> None:
    # Planned in fp8: published so by the lean one, made so by the engine of the rich one.
    two_llms().export("vllm", tmp_path / "out")
    texts = {path.read_text() for path in (tmp_path / "out").glob("*.sh")}
    weights = {text.split("vllm serve ")[1].split()[0]: text for text in texts}
    quantized = {name: "--quantization" in text for name, text in weights.items()}
    assert quantized == {"acme/Lean-8B": False, "acme/Rich-70B": True}
    (lean,) = (text for text in texts if "Lean" in text)
    assert "Length 32,768: all that lean takes." in " ".join(lean.replace("\n#", "").split())


def test_requests_may_ask_for_the_workload_whichever_llm_answers(tmp_path: Path) -> None:
    two_llms().export("vllm", tmp_path / "out")
    for name in ("lean", "rich"):
        assert any(
            f"--served-model-name {name} chat " in path.read_text()
            for path in (tmp_path / "out").glob("*.sh")
        )


def test_skyserve_never_lets_one_llm_stand_for_another(tmp_path: Path) -> None:
    two_llms().export("skyserve", tmp_path / "out")
    runs = [one["run"].split()[2] for one in documents(tmp_path / "out", "*.yaml")]
    assert sorted(runs) == ["acme/Lean-8B", "acme/Rich-70B"]


def solved() -> Plan:
    """Two thirds of 6 requests/s must be good: 4 boxes of the rich LLM, one of the lean one."""
    rates = [raw("box", 1.0, llm="rich"), raw("box", 3.0, llm="lean")]
    plain = catalog([offering("acme", "box", 2.0)], rates)
    llms = [llm(n).model_copy(update={"hf_id": f"acme/{n}"}) for n in ("lean", "rich")]
    known = Catalog.of(
        gpus=plain.gpus.values(),
        llms=llms,
        offerings=plain.offerings,
        token_prices=[],
        measurements=rates,
    )
    wish = {"any_of": ["rich", "lean"], "quality": {"rich": 0.9, "lean": 0.6}, "at_least": 0.8}
    return solve(problem(6, chat={"llm": wish}), known, alternatives=0)


def test_a_plan_tells_each_of_its_llms_and_its_document_too() -> None:
    plan = solved()
    deployed = plan.workloads[0].deployed
    assert deployed is not None
    assert {name: one.hf_id for name, one in deployed.of_each.items()} == {
        "lean": "acme/lean",
        "rich": "acme/rich",
    }
    assert deployed.hf_id == ""
    assert deployed.of("lean").hf_id == "acme/lean"
    again = Plan.from_dict(yaml.safe_load(yaml.safe_dump(plan.to_dict())))
    assert again.workloads[0].deployed == deployed
