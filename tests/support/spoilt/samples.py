"""Good files of every format that is read, each with commands that read it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support.serving.toys import CSV_FILES
from tests.support.spoilt.mutations import FULL
from tests.support.toy import CATALOG, ROOT

SERVED = {**FULL, "limits": {k: v for k, v in FULL["limits"].items() if k != "host"}}
"""Every key but one: no offering of the toy says what its host has."""

Arguments = tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """A file in a folder of others, and what may be asked of it."""

    file: str
    """The one that is spoilt."""

    content: bytes
    commands: Sequence[Arguments]


def of(file: str, content: object, *commands: str) -> Sample:
    """A sample; content that is no text is written as JSON, commands are split at blanks."""
    text = content if isinstance(content, str | bytes) else json.dumps(content, indent=1)
    made = text.encode() if isinstance(text, str) else text
    return Sample(file, made, [tuple(command.split()) for command in commands])


TOYS_PROBLEM = """\
schema_version: 1
name: toys
catalog: toys
workloads:
  - name: chat
    llm: toy
    traffic: {kind: requests_per_second, requests_per_second: 3}
    requests: {input_tokens: 800, output_tokens: 200}
    latency: {tpot: 50ms, ttft: 2s}
"""
TRACE_PROBLEM = TOYS_PROBLEM.replace(
    "{kind: requests_per_second, requests_per_second: 3}\n    requests: "
    "{input_tokens: 800, output_tokens: 200}",
    "{kind: trace, file: trace.csv, scale: 50}",
)
TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:{i // 6:02}:{i % 6}1.0467310,{300 + 97 * i % 900},{40 + 31 * i % 300}\n"
    for i in range(60)
)
MEASURED = (
    "llm,gpu,precision,tensor_parallel,input_tokens,output_tokens,concurrency,"
    "output_tokens_per_second,tpot_s,ttft_s,as_of,source\n"
    "toy,box,bf16,1,800,200,16,400,0.038,1.2,2026-01-01,test\n"
    "toy,box,bf16,1,800,200,4,200,0.019,0.4,2026-01-01,test\n"
)
OWN_YAML = """\
measurements:
  - {llm: toy, gpu: box, precision: bf16, tensor_parallel: 1, input_tokens: 800,
     output_tokens: 200, concurrency: 16, output_tokens_per_second: 400, tpot: 38ms, ttft: 1.2s}
"""
VLLM = {
    "date": "20260801-120000",
    "backend": "vllm",
    "model_id": "org/toy",
    "max_concurrency": 16,
    "completed": 100,
    "total_input_tokens": 80_000,
    "total_output_tokens": 20_000,
    "output_throughput": 400.0,
    "mean_ttft_ms": 1200.0,
    "mean_tpot_ms": 38.0,
}
GUIDELLM = {
    "benchmarks": [
        {
            "config": {"strategy": {"type_": "concurrent", "streams": 16}},
            "start_time": 1785585600.0,
            "metrics": {
                name: {"successful": {"mean": mean}}
                for name, mean in {
                    "prompt_token_count": 800.0,
                    "output_token_count": 200.0,
                    "request_concurrency": 15.7,
                    "output_tokens_per_second": 400.0,
                    "time_to_first_token_ms": 1200.0,
                    "inter_token_latency_ms": 38.0,
                }.items()
            },
        }
    ]
}
AIPERF = {
    "input_config": {"loadgen": {"concurrency": 16}},
    "start_time": "2026-08-01T12:00:00",
    "output_token_throughput": {"unit": "tokens/sec", "avg": 400.0},
    "input_sequence_length": {"unit": "tokens", "avg": 800.0},
    "output_sequence_length": {"unit": "tokens", "avg": 200.0},
    "time_to_first_token": {"unit": "ms", "avg": 1200.0},
    "inter_token_latency": {"unit": "ms", "avg": 38.0},
}
SKYPILOT = """\
InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,\
AvailabilityZone
c5.large,,,2.0,4.0,,0.085,0.03,us-east-1,use1-az1
quad,box,4.0,192.0,2048.0,"{'Gpus': [{'Name': 'box', 'Count': 4.0, 'MemoryInfo': \
{'SizeInMiB': 81920}}], 'TotalGpuMemoryInMiB': 327680}",12.0,4.0,us-east-1,use1-az1
quad,box,4.0,192.0,2048.0,"{'Gpus': [{'MemoryInfo': {'SizeInMiB': 81920}}]}",12.0,5,us-east-1,b
,box,1.0,,,,3.56,1.28,us-central1,us-central1-a
small,tub,1.0,4.0,16.0,,0.9,,us-east-1,
"""
GPUHUNT = """\
instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size,gpu_vendor
quad,us-1,12.0,30,200.0,4,box,80.0,False,1400.0,nvidia
quad,us-1,5.0,30,200.0,4,box,80.0,True,1400.0,nvidia
small,eu-1,0.9,16,188.0,1,tub,24.0,False,,nvidia
cpu-only,EU-1,0.1,4,8.0,0,,,False,,
"""
LITELLM = {
    "sample_spec": {"litellm_provider": "one of", "input_cost_per_token": "0"},
    "acme/org/toy": {
        "litellm_provider": "acme",
        "mode": "chat",
        "input_cost_per_token": 1e-7,
        "output_cost_per_token": 3e-7,
        "cache_read_input_token_cost": 1e-8,
        "deprecation_date": "2030-01-01",
    },
    "bolt/big-instruct": {
        "litellm_provider": "bolt",
        "mode": "chat",
        "input_cost_per_token": 2e-6,
        "output_cost_per_token": 4e-6,
    },
}
HF_DENSE = {
    "_name_or_path": "maker/dense",
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 1000,
    "num_attention_heads": 10,
    "num_key_value_heads": 2,
    "intermediate_size": 3000,
    "vocab_size": 5000,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
    "quantization_config": {
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
        "modules_to_not_convert": ["lm_head"],
    },
}
HF_EXPERTS = {
    "_name_or_path": "maker/experts",
    "model_type": "deepseek_v3",
    "num_hidden_layers": 4,
    "first_k_dense_replace": 1,
    "hidden_size": 1024,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "kv_lora_rank": 64,
    "q_lora_rank": 96,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "v_head_dim": 32,
    "intermediate_size": 2048,
    "moe_intermediate_size": 256,
    "n_routed_experts": 16,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "vocab_size": 4096,
    "max_position_embeddings": 4096,
    "num_nextn_predict_layers": 1,
}
HF_WINDOWS = {
    "_name_or_path": "maker/windows",
    "architectures": ["Gemma3ForConditionalGeneration"],
    "model_type": "gemma3",
    "text_config": {
        **{name: value for name, value in HF_DENSE.items() if name.startswith(("num_", "hidden"))},
        "head_dim": 100,
        "intermediate_size": 3000,
        "vocab_size": 5000,
        "sliding_window": 512,
        "sliding_window_pattern": 2,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "vision_config": {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "intermediate_size": 128,
        "num_attention_heads": 4,
    },
}
INDEX = {
    "metadata": {"total_size": 42_800_000},
    "weight_map": {
        "model.embed_tokens.weight": "model.safetensors",
        "lm_head.weight": "model.safetensors",
    },
}
TENSORS = {
    "__metadata__": {"format": "pt"},
    "model.embed_tokens.weight": {"dtype": "BF16", "shape": [5000, 1000], "data_offsets": [0, 1]},
    "lm_head.weight": {"dtype": "BF16", "shape": [5000, 1000], "data_offsets": [1, 2]},
    "model.layers.0.self_attn.q_proj.weight": {"dtype": "F8_E4M3", "shape": [1000, 1000]},
    "model.layers.0.mlp.up_proj.weight": {"dtype": "BF16", "shape": [3000, 1000]},
}
MELANGE = {
    "gpu_info": {
        "A10G": {"cost": 1.01, "tputs": [[2, 1], [5, 2]]},
        "A100-80GB": {"cost": 3.67, "tputs": [[20, 20], [40, 20]]},
    },
    "workload_distribution": [[0.2, 0.1], [0.5, 0.2]],
    "total_request_rate": 30.0,
    "slice_factor": 1,
}
AIBRIX = {
    "gpu_info": {
        "A10G": {
            "cost": 1.01,
            "tputs": [[2, 1], [5, 2]],
            "indexes": [[25, 100], [25, 100]],
            "slos": {"ttft": 1.0},
        }
    },
    "workload_distribution": [[0.2, 0.1], [0.5, 0.2]],
    "total_request_rate": 30.0,
}
SCENARIOS = """\
schema_version: 1
deployments:
  - {name: cloud, llm: toy, gpu: box, input: 1500, output: 300, latency: 10s}
  - {name: owned, llm: big, gpu: box, tp: 4, input: 1500, output: 300, purchase_usd: 9k,
     usd_per_kwh: 0.30}
"""
PATCHES = """\
schema_version: 1
scenarios:
  twice: {workloads.chat.traffic.growth: 2}
  dearer: {traffic: 0.5, prices: {acme/*: 5.00}}
"""

SOLVING = "--time-limit 2s --as-of 2026-08-31"
PROBLEM_COMMANDS = (
    "check {} --json",
    "check {}",
    "candidates {} --all",
    "candidates {} --json",
    "traffic {} --json",
    f"solve {{}} --no-choices --json {SOLVING}",
    f"solve {{}} --no-choices -f text --alternatives 1 {SOLVING}",
    f"solve {{}} -f csv {SOLVING}",
    f"what-if {{}} --traffic 1,2 {SOLVING}",
    f"explain {{}} --limits --json {SOLVING}",
    "evaluate {} --json --as-of 2026-08-31",
)
CATALOG_COMMANDS = (
    "catalog check {} --as-of 2026-08-31",
    "catalog check {} --verbose --json --as-of 2026-08-31",
    "catalog list offerings --catalog {} --as-of 2026-08-31",
    "catalog list llms --catalog {} --json --as-of 2026-08-31",
    "catalog diff inference-atlas {} --json",
)


def _asked(file: str, commands: Sequence[str] = PROBLEM_COMMANDS) -> list[str]:
    return [command.format(file) for command in commands]


def _tables(folder: str, files: Mapping[str, str], *more: str) -> list[Sample]:
    commands = [*_asked(folder, CATALOG_COMMANDS), *more]
    return [of(f"{folder}/{name}", text, *commands) for name, text in files.items()]


def _imports(kind: str, file: str, content: object, options: str = "--base toys") -> Sample:
    asked = f"catalog import {kind} {file} {options} --out new"
    return of(file, content, asked, f"{asked} --as-of 2026-08-31")


CALIBRATE = "--catalog toys --llm toy --gpu box --tp 1 --precision bf16 --as-of 2026-08-31"
OWN = ("calibrate {} " + CALIBRATE, "calibrate {} --out new --json " + CALIBRATE)
ESTIMATE = "estimate --llm toy --gpu box --input 800 --output 200 --catalog toys --json"


def samples() -> list[Sample]:
    """Every format, with the commands that read it."""
    packed = gzip.compress(TRACE.encode(), mtime=0)
    header = json.dumps(TENSORS).encode()
    tensors = len(header).to_bytes(8, "little") + header
    shipped = sorted((ROOT / "problems" / "inference-atlas").glob("*70b*.yaml"))
    solve = f"solve toys.yaml --no-choices -f text {SOLVING}"
    return [
        of("full.yaml", yaml.safe_dump(SERVED, sort_keys=False), *_asked("full.yaml")),
        of("toys.yaml", TOYS_PROBLEM, *_asked("toys.yaml")[:-1]),
        *(
            of(f"atlas-{path.name}", path.read_text("utf-8"), *_asked(f"atlas-{path.name}")[:7])
            for path in shipped
        ),
        *_tables("toy", CATALOG, f"solve full.yaml --no-choices -f text {SOLVING}"),
        *_tables("toys", {**CSV_FILES, "measurements.csv": MEASURED}, ESTIMATE, solve),
        of("trace.csv", TRACE, *_asked("trace.yaml", PROBLEM_COMMANDS[:6])),
        of("trace.csv", packed, *_asked("trace.yaml", PROBLEM_COMMANDS[:6])),
        *(
            of(name, content, *_asked(name, OWN))
            for name, content in (
                ("own.yaml", OWN_YAML),
                ("own.csv", MEASURED),
                ("vllm.json", VLLM),
                ("lines.jsonl", f"{json.dumps(VLLM)}\n{json.dumps({**VLLM, 'completed': 50})}\n"),
                ("guidellm.json", GUIDELLM),
                ("aiperf.json", AIPERF),
            )
        ),
        _imports("skypilot", "vms.csv", SKYPILOT),
        _imports("gpuhunt", "acme.csv", GPUHUNT),
        _imports("litellm", "prices.json", LITELLM),
        _imports("hf", "dense/config.json", HF_DENSE),
        _imports("hf", "experts/config.json", HF_EXPERTS),
        _imports("hf", "windows/config.json", HF_WINDOWS),
        _imports("hf", "whole/model.safetensors.index.json", INDEX),
        _imports("hf", "whole/model.safetensors", tensors),
        of("melange.json", MELANGE, "import melange melange.json --out new"),
        of("aibrix.json", AIBRIX, "import aibrix aibrix.json --out new"),
        of(
            "deployments.yaml",
            SCENARIOS,
            "estimate --scenarios deployments.yaml --catalog toys",
            "estimate --scenarios deployments.yaml --catalog toys --json",
        ),
        of("patches.yaml", PATCHES, f"what-if toys.yaml --scenario patches.yaml {SOLVING}"),
    ]


def lay(folder: Path, every: Sequence[Sample]) -> None:
    """All good files in a folder."""
    for sample in every:
        path = folder / sample.file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(sample.content)
    (folder / "trace.yaml").write_text(TRACE_PROBLEM)
    (folder / "whole" / "config.json").write_text(json.dumps(HF_DENSE))
