"""An LLM and a GPU whose figures can be worked in the head, and catalogs of them.

`toy` has 9 B parameters: 18 GB in bf16, read by a `box` (2,000 GB/s, 90 % attained) in 10 ms. A
token of its KV cache takes 2 · 10 layers · 2 heads · 125 · 2 bytes = 10,000 bytes.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm, Measurement, Offering

DAY = date(2026, 1, 1)
SOURCE = {"source": "made for tests", "as_of": DAY}


def toy(**fields: Any) -> Llm:
    given: dict[str, Any] = {
        "id": "toy",
        "parameters_b": 9.0,
        "layers": 10,
        "hidden_size": 1000,
        "attention_heads": 8,
        "kv_heads": 2,
        "head_dim": 125,
        "attention": "GQA",
    }
    return Llm(**{**given, **SOURCE, **fields})


def box(**fields: Any) -> Gpu:
    given: dict[str, Any] = {
        "id": "box",
        "vendor": "nvidia",
        "memory_gib": 80,
        "memory_bandwidth_gb_per_s": 2000,
        "bf16_tflops": 100,
        "tdp_watts": 500,
        "interconnect": "nvlink",
    }
    return Gpu(**{**given, **SOURCE, **fields})


def rent(usd_per_hour: float = 3.6, **fields: Any) -> Offering:
    given: dict[str, Any] = {
        "provider": "acme",
        "name": "box",
        "region": "eu-1",
        "billing": "dedicated",
        "gpu": "box",
        "gpus_per_unit": 1,
    }
    return Offering(usd_per_hour=usd_per_hour, **{**given, **SOURCE, **fields})


def measured(tokens_per_second: float, **fields: Any) -> Measurement:
    given: dict[str, Any] = {
        "llm": "toy",
        "gpu": "box",
        "precision": "bf16",
        "tensor_parallel": 1,
        "input_tokens": 800,
        "output_tokens": 200,
        "concurrency": 1,
    }
    return Measurement(output_tokens_per_second=tokens_per_second, **{**given, **SOURCE, **fields})


def catalog(*rows: Measurement, **fields: Any) -> Catalog:
    given: dict[str, Any] = {"gpus": [box()], "llms": [toy()], "offerings": [rent()]}
    return Catalog.of(measurements=rows, **{**given, **fields})


CSV_FILES = {
    "catalog.csv": "field,value\nname,toys\nextends,none\n",
    "gpus.csv": (
        "id,vendor,memory_gib,memory_bandwidth_gb_per_s,bf16_tflops,tdp_watts,interconnect,as_of,source\n"
        "box,nvidia,80,2000,100,500,nvlink,2026-01-01,test\n"
        "tub,nvidia,24,1000,50,300,pcie,2026-01-01,test\n"
    ),
    "llms.csv": (
        "id,parameters_b,layers,hidden_size,attention_heads,kv_heads,head_dim,attention,ffn_size,"
        "as_of,source\n"
        "toy,9,10,1000,8,2,125,GQA,299166,2026-01-01,test\n"
        "big,90,10,1000,8,2,125,GQA,2999166,2026-01-01,test\n"
    ),
    "offerings.csv": (
        "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,source\n"
        "acme,box,eu-1,dedicated,box,1,3.60,2026-01-01,test\n"
        "bolt,quad,eu-1,dedicated,box,4,12.00,2026-01-01,test\n"
        "bolt,quad,eu-1,spot,box,4,4.00,2026-01-01,test\n"
    ),
}
"""The same as the files of a catalog folder, with a smaller GPU and a larger LLM."""
