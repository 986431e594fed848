"""A toy catalog and problem as the command line reads them: texts, to be laid into a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

CATALOG = {
    "catalog.csv": "field,value\nname,toy\nversion,7\nextends,none\n",
    "gpus.csv": "id,vendor,memory_gib,as_of,source\n"
    "big,acme,80,2026-01-15,test\nsmall,acme,24,2026-01-15,test\n",
    "llms.csv": "id,as_of,source\ntiny,2026-01-15,test\nlonely,2026-01-15,test\n",
    "measurements.csv": "llm,gpu,precision,tensor_parallel,input_tokens,output_tokens,"
    "output_tokens_per_second,basis,as_of,source\n"
    "tiny,big,bf16,1,1,1,20,raw,2026-01-15,test\n"
    "tiny,small,bf16,1,1,1,6,raw,2026-01-15,test\n"
    "lonely,big,bf16,1,5,5,20,raw,2026-01-15,test\n",
    "offerings.csv": "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,source\n"
    "acme,big,eu-1,dedicated,big,1,4,2026-01-15,test\n"
    "bolt,small,us-1,dedicated,small,1,1.5,2026-02-20,test\n",
}
"""Big: 10 requests/s for $4/h. Small: 3 requests/s for $1.50/h, in two-token requests."""

PROBLEM = """\
schema_version: 1
name: toy
catalog: toy
workloads:
  - name: chat
    llm: tiny
    traffic: {kind: requests_per_second, requests_per_second: 13}
    requests: {input_tokens: 1, output_tokens: 1}
policy: {utilization: {target: 100%}}
alternatives: {count: 1}
"""
# 13 requests/s: one big and one small, $5.50/h, $3,960 a month; next, two small and one big is
# the same plus a unit, so five small: $7.50/h, $5,400.


def write(folder: Path, name: str, old: str, new: str) -> str:
    """`toy.yaml` with one thing changed, under another name."""
    assert old in PROBLEM
    (folder / name).write_text(PROBLEM.replace(old, new))
    return name


def raising(error: BaseException) -> Any:
    """A stand-in for `solve` that raises."""

    def solve(*arguments: Any, **options: Any) -> Any:
        raise error

    return solve
