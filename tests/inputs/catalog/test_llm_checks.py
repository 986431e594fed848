"""Rows of LLMs held against themselves: every contradiction names the row and the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from milp_planner.errors import InputError
from milp_planner.inputs.catalog.files import load_catalog

SOUND = {
    "id": "sound",
    "parameters_b": "0.033",
    "layers": "2",
    "hidden_size": "1000",
    "attention_heads": "10",
    "kv_heads": "2",
    "head_dim": "100",
    "ffn_size": "3000",
    "vocabulary": "5000",
    "as_of": "2026-01-01",
    "source": "test",
}
"""Tables 10 M, attention 2 · 2 · 1000 · 12 · 100 = 4.8 M, feed-forward 18 M: 32.8 M."""

EXPERTS = {
    "moe_layers": "2",
    "experts": "8",
    "experts_per_token": "2",
    "moe_ffn_size": "500",
    "active_parameters_b": "0.021",
    "parameters_b": "0.0388",
    "ffn_size": "",
}
"""Tables and attention 14.8 M, experts 2 · 8 · 3 · 1000 · 500 = 24 M."""

LATENT = {
    "attention": "MLA",
    "kv_lora_rank": "50",
    "qk_nope_head_dim": "30",
    "qk_rope_head_dim": "10",
    "v_head_dim": "20",
    "kv_heads": "",
}


def faults(folder: Path, **cells: str) -> list[str]:
    row = {name: cell for name, cell in {**SOUND, **cells}.items() if cell}
    text = f"{','.join(row)}\n{','.join(row.values())}\n"
    (folder / "llms.csv").write_text(text, encoding="utf-8")
    (folder / "catalog.csv").write_text("field,value\nextends,none\n", encoding="utf-8")
    try:
        load_catalog(folder)
    except InputError as error:
        return [f"{Path(f.file).name}:{f.line}: {f.path}: {f.message}" for f in error.faults]
    return []


@pytest.mark.parametrize("cells", [{}, EXPERTS, LATENT, {"attention": "GQA+sliding"} | {}])
def test_a_row_that_holds_together_is_taken(tmp_path: Path, cells: dict[str, str]) -> None:
    if cells.get("attention") == "GQA+sliding":
        cells = cells | {"windowed_layers": "1", "window_tokens": "128"}
    assert faults(tmp_path, **cells) == []


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        # 32.8 M are 34 % less than 50 M, and 64 % more than 20 M.
        ({"parameters_b": "0.05"}, "parameters_b: the shapes give 0.0328 B parameters, 34% less"),
        ({"parameters_b": "0.02"}, "parameters_b: the shapes give 0.0328 B parameters, 64% more"),
        # 70 B − 14.8 M in 2 · 3 · 1000
        (
            {"parameters_b": "70", "ffn_size": ""},
            "parameters_b: leave 69.99 B parameters for the feed-forward part of 2 layers: "
            "a width of 11,664,200 at a hidden size of 1,000",
        ),
        ({"kv_heads": ""}, "kv_heads: required: without it the KV cache is not known"),
        ({"kv_heads": "3"}, "kv_heads: 10 attention heads do not share 3 KV heads evenly"),
        ({"active_parameters_b": "1"}, "active_parameters_b: 1 active parameters are more"),
        ({"native_precision": "fp7"}, "native_precision: 'fp7' is not one of"),
        ({"stored_as": "attention=fp7"}, "stored_as: 'fp7' is not one of"),
        ({"stored_as": "heads=fp8"}, "stored_as: 'heads=fp8' is not GROUP=FORMAT"),
        ({"window_tokens": "128"}, "windowed_layers: required where attention has a window"),
        ({"windowed_layers": "1"}, "window_tokens: required for windowed layers"),
        ({"windowed_layers": "-50", "window_tokens": "9"}, "windowed_layers: must be at least 0"),
        ({"experts": "-8"}, "experts: must be at least 0 (is -8)"),
        ({"attention": "GQA+mamba"}, "linear_layers: required for attention GQA+mamba"),
        ({"full_attention_layers": "3"}, "layers: 3 full, windowed and linear layers"),
        ({"embedding_b": "0.04"}, "parameters_b: the groups add up to 0.04"),
        (LATENT | {"attention": ""}, "attention: a kv_lora_rank is of attention MLA; write that"),
        (LATENT | {"v_head_dim": ""}, "v_head_dim: required for attention MLA"),
        (EXPERTS | {"moe_layers": ""}, "moe_layers: required for a mixture of experts"),
        (EXPERTS | {"experts_per_token": ""}, "experts_per_token: required for a mixture"),
        (EXPERTS | {"active_parameters_b": ""}, "active_parameters_b: required for a mixture"),
        (EXPERTS | {"experts_per_token": "9"}, "experts_per_token: 9 of 8 experts"),
        (EXPERTS | {"moe_layers": "3"}, "moe_layers: 3 layers with experts are more than all 2"),
        (
            EXPERTS | {"parameters_b": "0.023", "vocabulary": "", "active_parameters_b": "0.01"},
            "parameters_b: the experts have 0.0 B parameters of 0.0 B",
        ),
    ],
)
def test_a_contradiction_names_the_row_and_the_field(
    tmp_path: Path, cells: dict[str, str], said: str
) -> None:
    found = faults(tmp_path, **cells)
    assert any(fault.startswith(f"llms.csv:2: {said}") for fault in found), found


def test_experts_without_a_gate_are_sound_once_stated(tmp_path: Path) -> None:
    # Two matrices instead of three: 16 M, with 14.8 M of tables and attention.
    ungated = EXPERTS | {"parameters_b": "0.0308", "active_parameters_b": "0.018"}
    assert faults(tmp_path, **ungated)
    assert faults(tmp_path, **ungated, experts_b="0.016") == []


def test_another_format_does_not_inherit_how_its_twin_is_stored(tmp_path: Path) -> None:
    text = (
        "id,same_shape_as,native_precision,as_of,source\n"
        "kimi-in-bf16,kimi-k2.5,bf16,2026-01-01,test\n"
        "kimi-tuned,kimi-k2.5,,2026-01-01,test\n"
    )
    (tmp_path / "llms.csv").write_text(text, encoding="utf-8")
    llms = load_catalog(tmp_path).llms
    assert (llms["kimi-in-bf16"].stored_as, llms["kimi-in-bf16"].quantisation_block) == ("", 0)
    assert llms["kimi-tuned"].quantisation_block == 32
