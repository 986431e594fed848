"""What price lists call GPUs and LLMs: form factors, hosts without GPUs, memory of several GPUs."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from milp_planner import load_catalog
from milp_planner.inputs.imports.gpuhunt import read_gpuhunt
from milp_planner.inputs.imports.instance_types import (
    GPU_OF_INSTANCE,
    Accelerators,
    accelerators_of,
    gpu_of_instance,
)
from milp_planner.inputs.imports.litellm import LlmNames, read_litellm
from milp_planner.inputs.imports.overlay import PriceRows, provider_id
from milp_planner.inputs.imports.skypilot import read_skypilot

MARKET = load_catalog()
DAY = date(2026, 11, 1)
HEADER = (
    "InstanceType,AcceleratorName,AcceleratorCount,GpuInfo,Price,SpotPrice,Region,AvailabilityZone"
)


def sky(tmp_path: Path, provider: str, *rows: str) -> PriceRows:
    file = tmp_path / "list.csv"
    file.write_text("\n".join([HEADER, *rows]) + "\n")
    return read_skypilot([file], MARKET, provider=provider, as_of=DAY)


def told(read: PriceRows) -> dict[str, object]:
    return {
        "{name}/{region} {billing} {gpus_per_unit} x {gpu}".format(**row): row["usd_per_hour"]
        for row in read.rows
    }


def info(mib: float, name: str = "") -> str:
    said = f"'Name': '{name}', " if name else ""
    return f"\"{{'Gpus': [{{{said}'MemoryInfo': {{'SizeInMiB': {mib}}}}}]}}\""


# --- Hosts and accelerators -------------------------------------------------------------------


def test_a_host_and_its_accelerators_of_one_zone_are_added(tmp_path: Path) -> None:
    read = sky(
        tmp_path,
        "gcp",
        "a3-highgpu-8g,,,,2.0,1.0,r,r-a",
        "a3-highgpu-8g,,,,2.0,1.0,r,r-b",
        f",H100,8,{info(81920)},40.0,20.0,r,r-a",
        f",H100,8,{info(81920)},40.0,30.0,r,r-b",
        f",H100,4,{info(81920)},20.0,,r,r-a",  # its host is not in the list
        "a3-highgpu-2g,,,,0.5,,r,r-c",  # no accelerator has a price in that zone
    )
    assert told(read) == {
        "a3-highgpu-8g/r dedicated 8 x h100-80gb-sxm": 42.0,
        "a3-highgpu-8g/r.r-a spot 8 x h100-80gb-sxm": 21.0,
        "a3-highgpu-8g/r.r-b spot 8 x h100-80gb-sxm": 31.0,
    }
    assert read.skipped.counts == {
        "price of the accelerator alone, without its host": 1,
        "no GPU": 1,
        "same offering twice, at the same price": 1,  # on demand, of the other zone
    }


def test_a_sum_of_which_a_part_is_unknown_is_unknown(tmp_path: Path) -> None:
    read = sky(
        tmp_path,
        "gcp",
        "a2-ultragpu-1g,,,,1.0,,r,r-a",
        f",A100-80GB,1,{info(81920)},2.0,0.9,r,r-a",
    )
    assert told(read) == {"a2-ultragpu-1g/r dedicated 1 x a100-80gb-sxm": 3.0}


@pytest.mark.parametrize(
    ("machine", "needs"),
    [
        ("a2-highgpu-4g", Accelerators("A100", 4)),
        ("a2-megagpu-16g", Accelerators("A100", 16)),
        ("a2-ultragpu-2g", Accelerators("A100-80GB", 2)),
        ("a3-megagpu-8g", Accelerators("H100-MEGA", 8)),
        ("a3-ultragpu-8g-nolssd", Accelerators("H200", 8)),
        ("a4-highgpu-8g", Accelerators("B200", 8)),
        ("g2-standard-12", Accelerators("L4", 1)),
        ("g2-standard-48", Accelerators("L4", 4)),
        ("g4-standard-96", Accelerators("RTX-PRO-6000", 2)),
        ("g4-standard-6", None),  # part of a GPU
        ("n1-standard-8", None),
    ],
)
def test_a_google_machine_has_the_gpus_that_google_documents(
    machine: str, needs: Accelerators | None
) -> None:
    assert accelerators_of("gcp", machine) == needs
    assert accelerators_of("aws", machine) is None


# --- Form factors and memory ------------------------------------------------------------------


def test_every_documented_gpu_is_in_the_catalog_and_agrees_with_its_rows() -> None:
    assert {gpu for _, _, gpu in GPU_OF_INSTANCE} <= {*MARKET.gpus}
    for o in MARKET.offerings:
        documented = gpu_of_instance(o.provider, o.name)
        assert documented in ("", o.gpu), o.id


@pytest.mark.parametrize(
    ("provider", "row", "gpu"),
    [
        ("newcloud", f"1x-H100_SXM-32,H100,1,{info(81559)},1,,r,", "h100-80gb-sxm"),
        ("newcloud", f"gpu_1x_h100_pcie,H100,1,{info(81920)},1,,r,", "h100-80gb-pcie"),
        ("newcloud", f"box,A100-80GB,1,{info(80, 'A100 PCIe')},1,,r,", "a100-80gb-pcie"),
        ("newcloud", f"gpu_8x_a100_sxm4,A100,8,{info(40960)},1,,r,", "a100-40gb-sxm"),
        ("newcloud", f"gpu_8x_a100_80gb_sxm4,A100-80GB,8,{info(81920)},1,,r,", "a100-80gb-sxm"),
        ("azure", f"Standard_NCC40ads_H100_v5,H100,1,{info(95830)},1,,r,", "h100-94gb-nvl"),
        ("newcloud", f"box,H200,1,{info(143771)},1,,r,", "h200-141gb-sxm"),
        ("newcloud", f"box-nvl,H200,1,{info(143771)},1,,r,", "h200-141gb-nvl"),
        ("vast", f"4x-RTX_5090,RTX5090,4,{info(130428)},1,,r,", "rtx5090-32gb"),
        ("newcloud", f"box,RTX5090,4,{info(130428)},1,,r,", "rtx5090-32gb"),
        ("runpod", f"1x_L4,L4,1,{info(24)},1,,r,", "l4-24gb"),  # in GB
        ("vast", f"2x-RTX_PRO_6000_WS,RTXPRO6000WS,2,{info(195774)},1,,r,", "rtxpro6000-96gb"),
    ],
)
def test_the_gpu_is_told_by_names_documents_and_memory(
    tmp_path: Path, provider: str, row: str, gpu: str
) -> None:
    (found,) = sky(tmp_path, provider, row).rows
    assert found["gpu"] == gpu


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"box,H100,1,{info(81559)},1,,r,", "form factor of the GPU not stated"),
        (f"box,L4,1,{info(49152)},1,,r,", "memory unlike that of the catalog's GPU"),
        (f"box,A100-MIG-1g,1,{info(5120)},1,,r,", "part of a GPU, or a count that is not whole"),
        (f"g6f.large,L4,0.125,{info(2861)},1,,r,", "part of a GPU, or a count that is not whole"),
    ],
)
def test_what_is_left_out_has_its_true_reason(tmp_path: Path, row: str, reason: str) -> None:
    read = sky(tmp_path, "newcloud", row)
    assert (read.rows, dict(read.skipped.counts)) == ([], {reason: 1})


def test_zones_that_cost_the_same_are_one_row(tmp_path: Path) -> None:
    same = [f"x,L4,1,,0.8,0.4,r,r-{zone}" for zone in "abc"]
    other = [f"y,L4,1,,0.8,0.{price},r,r-{price}" for price in (3, 5)]
    assert told(sky(tmp_path, "newcloud", *same, *other)) == {
        "x/r dedicated 1 x l4-24gb": 0.8,
        "x/r spot 1 x l4-24gb": 0.4,
        "y/r dedicated 1 x l4-24gb": 0.8,
        "y/r.r-3 spot 1 x l4-24gb": 0.3,
        "y/r.r-5 spot 1 x l4-24gb": 0.5,
    }


def test_a_calendar_reservation_is_not_on_demand(tmp_path: Path) -> None:
    file = tmp_path / "gcp.csv"
    header = "instance_name,location,price,gpu_count,gpu_name,gpu_memory,spot,flags\n"
    file.write_text(header + "a3-highgpu-8g,r,43,8,H100,80,False,gcp-dws-calendar-mode\n")
    read = read_gpuhunt([file], MARKET, as_of=DAY)
    assert dict(read.skipped.counts) == {"reserved by the calendar, not sold on demand": 1}


# --- LLMs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "llm"),
    [
        ("us.meta.llama3-3-70b-instruct-v1:0", "llama-3.3-70b"),
        ("meta.llama3-1-8b-instruct-v1:0", "llama-3.1-8b"),
        ("bedrock/us-east-1/meta.llama3-70b-instruct-v1:0", "llama-3-70b"),
        ("meta.llama4-maverick-17b-instruct-v1:0", "llama-4-maverick"),
        ("us.deepseek.r1-v1:0", "deepseek-r1"),
        ("openai.gpt-oss-120b-1:0", "gpt-oss-120b"),
        ("qwen.qwen3-32b-v1:0", "qwen3-32b"),
        ("mistral.mixtral-8x7b-instruct-v0:1", "mixtral-8x7b"),
        ("databricks/databricks-meta-llama-3-3-70b-instruct", "llama-3.3-70b"),
        ("databricks/databricks-llama-4-maverick", "llama-4-maverick"),
        ("oci/meta.llama-3.3-70b-instruct", "llama-3.3-70b"),
        ("oci/meta.llama-4-scout-17b-16e-instruct", "llama-4-scout"),
        ("watsonx/meta-llama/llama-3-3-70b-instruct", "llama-3.3-70b"),
        ("snowflake/llama3.1-405b", "llama-3.1-405b"),
        ("snowflake/llama3-8b", "llama-3-8b"),
        ("vertex_ai/meta/llama-3.3-70b-instruct-maas", "llama-3.3-70b"),
        ("mistral.mistral-large-2402-v1:0", ""),  # another size than the catalog's
        ("us.meta.llama3-2-11b-instruct-v1:0", ""),
        ("us.amazon.nova-pro-v1:0", ""),
    ],
)
def test_a_providers_name_of_an_llm_is_understood(name: str, llm: str) -> None:
    assert LlmNames(MARKET).find(name) == llm


def test_makers_of_one_platform_are_one_provider(tmp_path: Path) -> None:
    assert provider_id("vertex_ai-llama_models", MARKET.sellers) == "vertex"
    assert provider_id("bedrock_converse", MARKET.sellers) == "bedrock"
    assert provider_id("moonshot", MARKET.sellers) == "moonshotai"
    assert provider_id("lambda_ai", MARKET.sellers) == "lambda"
    prices = {"input_cost_per_token": 7e-7, "output_cost_per_token": 7e-7, "mode": "chat"}
    file = tmp_path / "prices.json"
    entry = {"litellm_provider": "vertex_ai-llama_models", **prices}
    file.write_text(json.dumps({"vertex_ai/meta/llama-3.3-70b-instruct-maas": entry}))
    (row,) = read_litellm([file], MARKET, as_of=DAY).rows
    assert (row["provider"], row["llm"]) == ("vertex", "llama-3.3-70b")
