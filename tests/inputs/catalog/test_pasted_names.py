"""Names that people paste find their row, or a short list that keeps family, version and size."""

from __future__ import annotations

import pytest

from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.identity.names import did_you_mean_llm, near_llms
from milp_planner.inputs.catalog.records import Catalog


@pytest.fixture(scope="module")
def market() -> Catalog:
    return load_catalog("market")


@pytest.mark.parametrize(
    ("name", "llm"),
    [
        ("meta-llama/Meta-Llama-3.1-8B", "llama-3.1-8b"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "llama-3.1-8b"),
        ("hugging-quants/Meta-Llama-3.1-405B-Instruct-AWQ-INT4", "llama-3.1-405b"),
        ("nvidia/Llama-3.3-70B-Instruct-FP8", "llama-3.3-70b"),
        ("unsloth/Llama-3.2-3B-Instruct-bnb-4bit", "llama-3.2-3b"),
        ("meta-llama/Llama-2-13b-chat-hf", "llama-2-13b"),
        ("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4", "qwen2.5-72b"),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "qwen3-235b-a22b"),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct-FP8", "qwen3-next-80b-a3b"),
        ("Qwen/Qwen3-VL-32B-Thinking", "qwen3-vl-32b"),
        ("nvidia/DeepSeek-V3.1-NVFP4", "deepseek-v3.1"),
        ("deepseek-ai/DeepSeek-V3-0324", "deepseek-v3"),
        ("google/gemma-3-27b-pt", "gemma-3-27b"),
        ("mistralai/Mixtral-8x7B-v0.1", "mixtral-8x7b"),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-FP8", "nemotron-3-nano-30b-a3b"),
        ("zai-org/GLM-4.5-FP8", "glm-4.5"),
        ("RedHatAI/phi-4-quantized.w4a16", "phi-4"),
        ("Llama 3.1 8B", "llama-3.1-8b"),
        ("GPT-OSS 120B", "gpt-oss-120b"),
        ("llama3.1:8b", "llama-3.1-8b"),
        ("llama2 13b", "llama-2-13b"),
        ("Llama4 Scout", "llama-4-scout"),
        ("qwen3:30b-a3b", "qwen3-30b-a3b"),
        ("phi4", "phi-4"),
    ],
)
def test_a_checkpoint_is_its_llm(market: Catalog, name: str, llm: str) -> None:
    found = market.llm(name)
    assert found is not None
    assert found.id == llm


@pytest.mark.parametrize("name", ["deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "70b", "llama", "x"])
def test_what_is_not_one_llm_is_none(market: Catalog, name: str) -> None:
    assert market.llm(name) is None


def test_every_shipped_llm_is_found_by_its_own_names(market: Catalog) -> None:
    for llm in market.llms.values():
        if llm.hf_id:
            assert market.llm(llm.hf_id) == llm
            assert market.llm(llm.hf_id.lower()) == llm
            assert market.llm(f"{llm.hf_id}-FP8") == llm, llm.hf_id


def test_a_short_list_keeps_the_version_and_the_size(market: Catalog) -> None:
    seventies = ["llama-2-70b", "llama-3-70b", "llama-3.1-70b", "llama-3.3-70b"]
    assert near_llms("70b", market.llms) == seventies
    assert near_llms("llama-3.3-8b", market.llms)[0] == "llama-3.3-70b"
    assert did_you_mean_llm("lama-3.1-8b", market.llms) == "; did you mean 'llama-3.1-8b'?"
    assert all(name.startswith("qwen3-") for name in near_llms("qwen3-72b", market.llms))
    assert near_llms("qwen 72b", market.llms) == ["qwen2-72b", "qwen2.5-72b"]
    assert near_llms("gpt-oss", market.llms) == ["gpt-oss-20b", "gpt-oss-120b"]


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        ("H100 80GB SXM", "h100-80gb-sxm"),
        ("NVIDIA H100 80GB HBM3", "h100-80gb-sxm"),
        ("NVIDIA A100-SXM4-80GB", "a100-80gb-sxm"),
        ("Tesla V100-SXM2-16GB", "v100-16gb-sxm"),
        ("RTX 4090", "rtx4090-24gb"),
        ("NVIDIA GeForce RTX 3090", "rtx3090-24gb"),
        ("RTX 6000 Ada", "rtx6000ada-48gb"),
        ("RTX PRO 6000", "rtxpro6000-96gb"),
        ("AMD Instinct MI300X", "mi300x-192gb"),
        ("H200 NVL", "h200-141gb-nvl"),
        ("a10g", "a10g-24gb"),
        ("A10", "a10-24gb"),
        ("H100NVL", "h100-94gb-nvl"),
        ("H100-SXM5-80GB", "h100-80gb-sxm"),
        ("Gaudi 3", "gaudi3-128gb"),
        ("4090", "rtx4090-24gb"),
    ],
)
def test_a_gpu_is_found_by_its_words(market: Catalog, name: str, gpu: str) -> None:
    assert market.gpus_named(name) == (gpu,)


def test_a_gpu_without_its_form_factor_stays_ambiguous(market: Catalog) -> None:
    assert market.gpus_named("A100 80 GB") == ("a100-80gb-pcie", "a100-80gb-sxm")
    assert market.gpus_named("x99") == ()
