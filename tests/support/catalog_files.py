"""A whole small catalog as texts, to be laid into a folder with some of them changed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from milp_planner import Catalog, InputError, load_catalog

TODAY = date(2026, 9, 1)
SOURCED = "2026-08-01,price list"

GPUS = f"""\
id,vendor,memory_gib,memory_bandwidth_gb_per_s,bf16_tflops,fp8_tflops,as_of,source
h100-80gb-pcie,nvidia,80,2000,756,1513,{SOURCED}
h100-80gb-sxm,nvidia,80,3350,989,1978,{SOURCED}
h100-94gb-nvl,nvidia,94,3900,,,{SOURCED}
l4-24gb,nvidia,24,300,121,242,{SOURCED}
"""
LLMS = f"""\
id,same_shape_as,hf_id,parameters_b,active_parameters_b,hidden_size,vocabulary,context_tokens,as_of,source
small-8b,,maker/Small-8B,8.5,8.5,4000,125000,32768,{SOURCED}
tuned-8b,small-8b,,,,,,8192,{SOURCED}
"""
OFFERINGS = f"""\
provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,source
acme,big,eu-1,dedicated,h100-80gb-sxm,8,24,{SOURCED}
beta,big,us-1,dedicated,h100-80gb-sxm,8,32,{SOURCED}
beta,big,us-1,spot,h100-80gb-sxm,8,9,{SOURCED}
"""
TOKEN_PRICES = f"""\
provider,llm,usd_per_m_input_tokens,usd_per_m_output_tokens,usd_per_m_cached_tokens,as_of,source
acme,small-8b,0.1,0.2,0.05,{SOURCED}
"""
MEASUREMENTS = f"""\
llm,gpu,precision,tensor_parallel,regime,input_tokens,output_tokens,concurrency,\
output_tokens_per_second,ttft_s,tpot_s,as_of,source
small-8b,h100-80gb-sxm,bf16,1,fixed_concurrency,1000,200,8,700,0.1,0.011,{SOURCED}
"""
WHOLE = {
    "catalog.csv": "field,value\nname,tiny\nversion,3\nextends,none\n",
    "gpus.csv": GPUS,
    "llms.csv": LLMS,
    "offerings.csv": OFFERINGS,
    "token_prices.csv": TOKEN_PRICES,
    "measurements.csv": MEASUREMENTS,
}


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def load(folder: Path, **files: str) -> Catalog:
    """The whole small catalog, with the files given (`offerings=...`) in place of its own."""
    write(folder / "own", WHOLE | {f"{name}.csv": text for name, text in files.items()})
    return load_catalog("own", base=folder, as_of=TODAY)


def faults(folder: Path, **files: str) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, **files)
    return str(caught.value)
