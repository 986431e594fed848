"""Writes catalogs/market/llms.csv again: published configs and known shapes through one counter.

    python tests/scripts/regenerate_llms.py [--check]

Configs are those of `../shared/data/llms/configs`; without that folder nothing is done. LLMs whose
config is not at hand are counted by the same code from the shapes that their row states, with the
names that their architecture's config would have. With `--check` nothing is written, and the exit
code says whether the file is as it would be written.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

from milp_planner.inputs.catalog.records import Llm
from milp_planner.inputs.imports.hf.config import Config
from milp_planner.inputs.imports.hf.row import facts_of, llm_row

ROOT = Path(__file__).resolve().parents[2]
LLMS = ROOT / "catalogs" / "market" / "llms.csv"
CONFIGS = ROOT.parent / "shared" / "data" / "llms" / "configs"
COPIED_FROM = "ai-dynamo/aiconfigurator@095f58a aic-core/src/aiconfigurator_core/model_configs"
COPIED_ON = "2026-08-21"

Row = dict[str, Any]

PUBLISHED = {
    "deepseek-r1": "deepseek-ai--DeepSeek-R1",
    "deepseek-v3": "deepseek-ai--DeepSeek-V3",
    "deepseek-v3.2": "deepseek-ai--DeepSeek-V3.2",
    "deepseek-v4-flash": "deepseek-ai--DeepSeek-V4-Flash",
    "deepseek-v4-pro": "deepseek-ai--DeepSeek-V4-Pro",
    "glm-5": "zai-org--GLM-5",
    "glm-5.1": "zai-org--GLM-5.1",
    "glm-5.2": "zai-org--GLM-5.2",
    "gpt-oss-120b": "openai--gpt-oss-120b",
    "kimi-k2": "moonshotai--Kimi-K2-Instruct",
    "kimi-k2.5": "moonshotai--Kimi-K2.5",
    "llama-3.1-405b": "meta-llama--Meta-Llama-3.1-405B",
    "llama-3.1-70b": "meta-llama--Meta-Llama-3.1-70B",
    "llama-3.1-8b": "meta-llama--Meta-Llama-3.1-8B",
    "llama-3.3-nemotron-super-49b": "nvidia--Llama-3_3-Nemotron-Super-49B-v1",
    "llama-4-maverick": "meta-llama--Llama-4-Maverick-17B-128E-Instruct",
    "llama-4-scout": "meta-llama--Llama-4-Scout-17B-16E-Instruct",
    "mimo-7b": "XiaomiMiMo--MiMo-7B-Base",
    "minimax-m2.5": "MiniMaxAI--MiniMax-M2.5",
    "minimax-m2.7": "MiniMaxAI--MiniMax-M2.7",
    "mixtral-8x22b": "mistralai--Mixtral-8x22B-v0.1",
    "mixtral-8x7b": "mistralai--Mixtral-8x7B-v0.1",
    "nemotron-3-nano-30b-a3b": "nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
    "nemotron-3-ultra-550b-a55b": "nvidia--NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16",
    "nemotron-3.5-lightning-30b-a3b": "nvidia--NVIDIA-Nemotron-3.5-Lightning-30B-A3B-NVFP4",
    "nemotron-h-56b": "nvidia--Nemotron-H-56B-Base-8K",
    "qwen3-0.6b": "Qwen--Qwen3-0.6B",
    "qwen3-1.7b": "Qwen--Qwen3-1.7B",
    "qwen3-235b-a22b": "Qwen--Qwen3-235B-A22B",
    "qwen3-30b-a3b": "Qwen--Qwen3-30B-A3B",
    "qwen3-32b": "Qwen--Qwen3-32B",
    "qwen3-8b": "Qwen--Qwen3-8B",
    "qwen3-coder-480b-a35b": "Qwen--Qwen3-Coder-480B-A35B-Instruct",
    "qwen3-vl-235b-a22b": "Qwen--Qwen3-VL-235B-A22B-Instruct",
    "qwen3-vl-2b": "Qwen--Qwen3-VL-2B-Instruct",
    "qwen3-vl-32b": "Qwen--Qwen3-VL-32B-Instruct",
    "qwen3-vl-4b": "Qwen--Qwen3-VL-4B-Instruct",
    "qwen3-vl-8b": "Qwen--Qwen3-VL-8B-Instruct",
    "qwen3.5-27b": "Qwen--Qwen3.5-27B",
    "qwen3.5-35b-a3b": "Qwen--Qwen3.5-35B-A3B",
    "qwen3.5-397b-a17b": "Qwen--Qwen3.5-397B-A17B",
    "step-3.7-flash": "stepfun-ai--Step-3.7-Flash",
}
"""Config by LLM, of the checkpoint that its publisher made."""

REPACKED = {
    "gemma-4-26b-a4b": "nvidia--Gemma-4-26B-A4B-NVFP4",
    "minimax-m3": "nvidia--MiniMax-M3-NVFP4",
    "nemotron-3-super-120b-a12b": "nvidia--NVIDIA-Nemotron-3-Super-120B-A12B-FP8",
    "qwen3.5-122b-a10b": "nvidia--Qwen3.5-122B-A10B-NVFP4",
    "qwen3.6-27b": "nvidia--Qwen3.6-27B-NVFP4",
    "qwen3.6-35b-a3b": "nvidia--Qwen3.6-35B-A3B-NVFP4",
}
"""Config of a quantised copy; the publisher's own weights are taken for bf16."""

NEW = {
    "glm-5.1": ("zai-org/GLM-5.1", ""),
    "llama-2-13b": ("meta-llama/Llama-2-13b-hf", ""),
    "llama-3.3-nemotron-super-49b": ("nvidia/Llama-3_3-Nemotron-Super-49B-v1", ""),
    "mimo-7b": ("XiaomiMiMo/MiMo-7B-Base", ""),
    "nemotron-3-ultra-550b-a55b": ("nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16", ""),
    "nemotron-3.5-lightning-30b-a3b": (
        "nvidia/NVIDIA-Nemotron-3.5-Lightning-30B-A3B-NVFP4",
        "",
    ),
    "nemotron-h-56b": ("nvidia/Nemotron-H-56B-Base-8K", ""),
    "qwen3-vl-235b-a22b": ("Qwen/Qwen3-VL-235B-A22B-Instruct", ""),
    "qwen3-vl-2b": ("Qwen/Qwen3-VL-2B-Instruct", ""),
    "qwen3-vl-32b": ("Qwen/Qwen3-VL-32B-Instruct", ""),
    "qwen3-vl-4b": ("Qwen/Qwen3-VL-4B-Instruct", ""),
    "qwen3-vl-8b": ("Qwen/Qwen3-VL-8B-Instruct", ""),
}
"""LLMs that had no row: name on Hugging Face, note."""

SIGLIP = {
    **{"model_type": "siglip_vision_model", "hidden_size": 1152, "num_hidden_layers": 27},
    **{"intermediate_size": 4304, "patch_size": 14, "num_position_embeddings": 4096},
}
PIXTRAL = {
    **{"model_type": "pixtral", "hidden_size": 1024, "num_hidden_layers": 24},
    **{"intermediate_size": 4096, "patch_size": 14, "spatial_merge_size": 2},
}
GEMMA_4_TOWER = {
    **{"model_type": "gemma4_vision", "hidden_size": 1152, "num_hidden_layers": 27},
    **{"intermediate_size": 4304, "patch_size": 16, "position_embedding_size": 10240},
}
GEMMA_4 = {
    "layer_types": ["sliding_attention" if i % 6 < 5 else "full_attention" for i in range(60)],
    **{"global_head_dim": 512, "num_global_key_value_heads": 4, "attention_k_eq_v": True},
}
DELTA_NET = {
    **{"full_attention_interval": 4, "linear_num_key_heads": 16, "linear_num_value_heads": 32},
    **{"linear_key_head_dim": 128, "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4},
}
MIMO_V2 = {
    "hybrid_layer_pattern": [0 if i % 6 == 5 or i == 0 else 1 for i in range(48)],
    **{"swa_num_key_value_heads": 8, "swa_head_dim": 192, "swa_v_head_dim": 128},
    **{"v_head_dim": 128, "first_k_dense_replace": 1},
    "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
}

ARCHITECTURES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("deepseek-v2", {"model_type": "deepseek_v2", "first_k_dense_replace": 1}),
    ("gemma-2", {"model_type": "gemma2"}),
    ("gemma-3-1b", {"model_type": "gemma3_text"}),
    ("gemma-3", {"model_type": "gemma3", "vision_config": SIGLIP}),
    ("gemma-4-31b", {"model_type": "gemma4", "vision_config": GEMMA_4_TOWER, **GEMMA_4}),
    ("glm-4.5-air", {"model_type": "glm4_moe", "first_k_dense_replace": 1, "attention_bias": True}),
    (
        "glm-4.5",
        {
            **{"model_type": "glm4_moe", "first_k_dense_replace": 3, "attention_bias": True},
            "use_qk_norm": True,
        },
    ),
    ("gpt-oss", {"model_type": "gpt_oss", "attention_bias": True}),
    ("llama", {"model_type": "llama"}),
    ("mimo-v2", {"model_type": "mimo_v2_flash", **MIMO_V2}),
    ("ministral-3", {"model_type": "mistral3", "vision_config": PIXTRAL}),
    ("mistral-small", {"model_type": "mistral3", "vision_config": PIXTRAL}),
    ("mistral", {"model_type": "mistral"}),
    ("phi", {"model_type": "phi3"}),
    ("qwen2", {"model_type": "qwen2"}),
    ("qwen3-next", {"model_type": "qwen3_next", **DELTA_NET}),
    ("qwen3", {"model_type": "qwen3"}),
)
"""What a config would say beyond the row's shapes, by the beginning of the id."""

CHANGED: dict[str, dict[str, Any]] = {
    "deepseek-v3.1": {"hf_id": "deepseek-ai/DeepSeek-V3.1"},
    "kimi-k2.6": {"hf_id": "moonshotai/Kimi-K2.6"},
    "llama-3-70b": {"hf_id": "meta-llama/Meta-Llama-3-70B-Instruct"},
    "llama-3-8b": {"hf_id": "meta-llama/Meta-Llama-3-8B-Instruct"},
    "llama-3.3-70b": {"hf_id": "meta-llama/Llama-3.3-70B-Instruct"},
    "qwen2-72b": {"hf_id": "Qwen/Qwen2-72B-Instruct"},
    "glm-4.5": {"context_tokens": 131072, "note": ""},
    "glm-4.6": {"hf_id": "zai-org/GLM-4.6", "context_tokens": 202752},
    "glm-4.7": {"hf_id": "zai-org/GLM-4.7", "context_tokens": 202752},
    "kimi-k3": {"experts_b": 2722.701, "vision_b": 0},
    "llama-2-70b": {"context_tokens": 4096, "note": "context of the model card"},
    "qwen3-coder-30b-a3b": {
        "hf_id": "Qwen/Qwen3-Coder-30B-A3B-Instruct",
        "context_tokens": 262144,
    },
    "qwen3-coder-next-80b-a3b": {"hf_id": "Qwen/Qwen3-Coder-Next", "context_tokens": 262144},
    "qwen3-next-80b-a3b": {
        "context_tokens": 262144,
        "source": "published config.json of Qwen/Qwen3-Next-80B-A3B-Instruct; "
        "THUDM/slime scripts/models/qwen3-next-80B-A3B.sh",
        "note": "",
    },
}
"""What the sources behind the rows leave out or have wrong."""

FP8_BLOCKS = ("qwen3", "glm-5", "step-3.7")
"""Families whose publishers' fp8 checkpoints scale blocks of 128 × 128 (`weight_block_size` of
their configs: Qwen3-*-FP8, GLM-5-FP8, Step-3.7-Flash-FP8)."""

STALE = (
    "; vision encoder weights not counted",
    "language tower only",
    "original weights assumed bf16; ",
)


def main(arguments: list[str]) -> int:
    """Write the file, or with `--check` compare it."""
    if not CONFIGS.is_dir():
        print(f"{CONFIGS} is not there: nothing done")
        return 0
    written = as_csv(regenerated(read(LLMS)))
    if "--check" in arguments:
        return int(written != LLMS.read_text(encoding="utf-8"))
    LLMS.write_text(written, encoding="utf-8")
    return 0


def read(path: Path) -> list[Row]:
    """The rows as they are, empty cells left out."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: cell for name, cell in row.items() if cell} for row in rows]


def regenerated(rows: list[Row]) -> list[Row]:
    """Every row counted again, and the new ones."""
    before = {row["id"]: row for row in rows}
    for row in ADDED:
        before.setdefault(row["id"], row)
    ids = {*before, *PUBLISHED}
    after = {name: _row(name, before.get(name, {"id": name})) for name in sorted(ids)}
    return list(after.values())


KIMI_CODE: Row = {
    **{"id": "kimi-k2.7-code", "same_shape_as": "kimi-k2.5", "hf_id": "moonshotai/Kimi-K2.7-Code"},
    **{"as_of": COPIED_ON, "note": "architecture taken from kimi-k2.5: that of its nvfp4 copy"},
    "source": f"{COPIED_FROM}/nvidia--Kimi-K2.7-Code-NVFP4_config.json",
}
LLAMA_2_13B: Row = {
    **{"id": "llama-2-13b", "layers": "40", "hidden_size": "5120", "attention_heads": "40"},
    **{"kv_heads": "40", "head_dim": "128", "ffn_size": "13824", "vocabulary": "32000"},
    **{"tied_embeddings": "false", "context_tokens": "4096", "native_precision": "fp16"},
    **{"as_of": "2026-08-21", "attention": "MHA"},
    "source": "published config.json of meta-llama/Llama-2-13b-hf",
}


ADDED = (KIMI_CODE, LLAMA_2_13B)
"""Rows that no config gives whole."""


def _row(name: str, row: Row) -> Row:
    if name in PUBLISHED or name in REPACKED:
        counted = _published(name, row)
    elif row.get("same_shape_as") or not _architecture(name):
        counted = row
    else:
        counted = _from_shapes(name, row)
    counted = counted | CHANGED.get(name, {})
    if name.startswith(FP8_BLOCKS) and not row.get("same_shape_as"):
        counted["quantisation_block"] = counted.get("quantisation_block") or 128
    return counted


def _published(name: str, row: Row) -> Row:
    stem = PUBLISHED.get(name) or REPACKED[name]
    file = CONFIGS / f"{stem}_config.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    quantisation = CONFIGS / f"{stem}_hf_quant_config.json"
    outside = None
    if name in REPACKED:
        document.pop("quantization_config", None)
    elif quantisation.is_file():
        outside = json.loads(quantisation.read_text(encoding="utf-8"))
    facts = facts_of(Config.of(document, str(file)), outside, None)
    hf_id = row.get("hf_id") or NEW.get(name, (stem.replace("--", "/"), ""))[0]
    counted = llm_row(facts, id_=name, hf_id=hf_id)
    notes = [note for note in (_kept(row.get("note", "")), *facts.notes) if note]
    said = "architecture read from a quantised copy; the publisher's weights taken for bf16"
    notes += [said] if name in REPACKED and "quantised copy" not in "".join(notes) else []
    counted["note"] = "; ".join(dict.fromkeys("; ".join(notes).split("; "))) if notes else ""
    return counted | {
        "as_of": row.get("as_of", COPIED_ON),
        "source": f"{COPIED_FROM}/{stem}_config.json",
    }


def _kept(note: str) -> str:
    for stale in STALE:
        note = note.replace(stale, "")
    if "repackage" in note or "KV per token = sum" in note or "same size class" in note:
        return ""
    return note.strip("; ")


def _architecture(name: str) -> dict[str, Any]:
    return next((found for start, found in ARCHITECTURES if name.startswith(start)), {})


def _from_shapes(name: str, row: Row) -> Row:
    """Counted from the shapes that the row states, under the names of a config."""
    document = {
        config: int(row[column]) for config, column in NAMES.items() if row.get(column)
    } | _architecture(name)
    document["tie_word_embeddings"] = row.get("tied_embeddings") == "true"
    document["torch_dtype"] = {"fp16": "float16"}.get(row["native_precision"], "bfloat16")
    if row["native_precision"] == "mxfp4":
        kept = ["self_attn", "mlp.router", "embed_tokens", "lm_head"]
        document["quantization_config"] = {
            "quant_method": "mxfp4",
            "modules_to_not_convert": kept,
        }
    if "num_local_experts" in document and name.startswith("glm"):
        document["n_shared_experts"] = 1
    facts = facts_of(Config.of(document, name), None, None)
    hf_id = row.get("hf_id") or NEW[name][0]
    counted = llm_row(facts, id_=name, hf_id=hf_id)
    kept = {column: row[column] for column in ("as_of", "source") if row.get(column)}
    return counted | kept | {"note": _kept(row.get("note", ""))}


NAMES = {
    "num_hidden_layers": "layers",
    "hidden_size": "hidden_size",
    "num_attention_heads": "attention_heads",
    "num_key_value_heads": "kv_heads",
    "head_dim": "head_dim",
    "intermediate_size": "ffn_size",
    "vocab_size": "vocabulary",
    "max_position_embeddings": "context_tokens",
    "sliding_window": "window_tokens",
    "num_local_experts": "experts",
    "num_experts_per_tok": "experts_per_token",
    "moe_intermediate_size": "moe_ffn_size",
    "shared_expert_intermediate_size": "shared_expert_ffn",
    "kv_lora_rank": "kv_lora_rank",
    "qk_nope_head_dim": "qk_nope_head_dim",
    "qk_rope_head_dim": "qk_rope_head_dim",
    "v_head_dim": "v_head_dim",
}


def as_csv(rows: list[Row]) -> str:
    """The file, columns in the order of the record, those without a cell left out."""
    filled = {name for row in rows for name, cell in row.items() if cell not in (None, "")}
    last = ["as_of", "source", "note"]
    columns = [name for name in Llm.model_fields if name in filled and name not in last]
    out = io.StringIO()
    writer = csv.DictWriter(out, [*columns, *last], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(name, cell) for name, cell in row.items()})
    return out.getvalue()


def _cell(name: str, cell: Any) -> Any:
    """Numbers without needless digits; a figure of 0 is left out except among the groups."""
    if isinstance(cell, str) and name.endswith("_b"):
        cell = float(cell)
    if isinstance(cell, float):
        return f"{cell:.6f}".rstrip("0").rstrip(".")
    return cell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
