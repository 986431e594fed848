"""LLMs read from the files they are published with: shapes, formats, sizes, and what is refused."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from milp_planner.errors import InputError
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.records import Llm
from milp_planner.inputs.imports.hf.config import Config
from milp_planner.inputs.imports.hf.importer import import_hf
from milp_planner.inputs.imports.hf.row import facts_of, llm_row
from milp_planner.serving.memory import kv_bytes_per_token, linear_state_bytes
from milp_planner.serving.weights import checkpoint_bytes, weight_groups

CONFIGS = Path(__file__).resolve().parents[3] / "shared" / "data" / "llms" / "configs"
needs_configs = pytest.mark.skipif(not CONFIGS.is_dir(), reason="the published configs are absent")

BASE = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 1000,
    "num_attention_heads": 10,
    "num_key_value_heads": 2,
    "head_dim": 100,
    "intermediate_size": 3000,
    "vocab_size": 5000,
    "max_position_embeddings": 4096,
}
"""Per layer: q and o 1000 · 1000, k and v 1000 · 200: 2.4 M; feed-forward 3 · 1000 · 3000: 9 M.
Tables 5 M each; norms 2 · 2 · 1000 + 1000."""


def row_of(quantisation: Mapping[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    config = Config.of({**BASE, **changed}, "config.json")
    return llm_row(facts_of(config, quantisation, None), id_="toy", hf_id="maker/toy")


def millions(row: Mapping[str, Any], group: str) -> float:
    return float(row[f"{group}_b"]) * 1000


def imported(folder: Path, *paths: Path, **options: Any) -> Llm:
    import_hf(paths, folder / "mine", **options)
    catalog = load_catalog(folder / "mine")
    return next(llm for llm in catalog.llms.values() if llm.override)


def write(folder: Path, name: str, document: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(document))
    return path


# --- Shapes -------------------------------------------------------------------------------------


def test_a_dense_llm_is_counted_from_its_shapes() -> None:
    row = row_of()
    assert millions(row, "attention") == pytest.approx(4.8)
    assert millions(row, "dense_mlp") == pytest.approx(18)
    assert millions(row, "embedding") == millions(row, "unembedding") == pytest.approx(5)
    assert millions(row, "norms") == pytest.approx(0.005)
    assert row["parameters_b"] == row["active_parameters_b"] == pytest.approx(0.032805)
    # 2 layers, keys and values, 2 heads of 100, 2 bytes
    assert row["kv_bytes_per_token_bf16"] == 2 * 2 * 2 * 100 * 2
    assert (row["attention"], row["layers"], row["ffn_size"]) == ("GQA", 2, 3000)


def test_tied_tables_and_biases_of_queries_keys_and_values() -> None:
    row = row_of(model_type="qwen2", tie_word_embeddings=True)
    assert millions(row, "unembedding") == 0
    # 1,000 + 200 + 200 biases in each of 2 layers
    assert millions(row, "attention") == pytest.approx(4.8 + 0.0028, abs=0.0006)


def test_experts_count_whole_and_work_in_part() -> None:
    # 2 layers of 8 experts of 3 · 1000 · 500 = 1.5 M: 24 M, of which 2 of 8 work on a token.
    row = row_of(
        model_type="qwen3_moe", num_experts=8, num_experts_per_tok=2, moe_intermediate_size=500
    )
    assert millions(row, "experts") == pytest.approx(24)
    assert millions(row, "router") == pytest.approx(0.016)
    idle = float(row["parameters_b"]) - float(row["active_parameters_b"])
    assert idle == pytest.approx(0.018)
    assert (row["moe_layers"], row["dense_mlp_b"], row["ffn_size"]) == (2, 0, None)


def test_latent_experts_without_a_gate_are_small() -> None:
    # Nemotron-H: one layer of experts, 8 · 2 · 100 · 500 = 0.8 M, and two projections to the
    # latent width, 2 · 1000 · 100 = 0.2 M, beside shared experts of 2 · 1000 · 700 = 1.4 M.
    row = row_of(
        model_type="nemotron_h",
        hybrid_override_pattern="E*",
        n_routed_experts=8,
        num_experts_per_tok=2,
        moe_intermediate_size=500,
        moe_latent_size=100,
        moe_shared_expert_intermediate_size=700,
        mlp_hidden_act="relu2",
    )
    assert millions(row, "experts") == pytest.approx(0.8)
    assert millions(row, "shared_experts") == pytest.approx(1.6)
    assert (row["full_attention_layers"], row["moe_layers"]) == (1, 1)


def test_latent_attention_caches_rank_and_rope() -> None:
    row = row_of(
        model_type="deepseek_v3",
        kv_lora_rank=50,
        q_lora_rank=60,
        qk_nope_head_dim=30,
        qk_rope_head_dim=10,
        v_head_dim=20,
    )
    # q 1000·60 + 60·10·40, kv 1000·60 + 50·10·50, o 10·20·1000: 0.369 M a layer
    assert millions(row, "attention") == pytest.approx(2 * 0.369)
    assert row["kv_bytes_per_token_bf16"] == 2 * (50 + 10) * 2
    assert (row["attention"], row["kv_lora_rank"]) == ("MLA", 50)


def test_a_sparse_indexer_adds_its_keys_to_the_cache() -> None:
    shapes = {"kv_lora_rank": 50, "qk_nope_head_dim": 30, "qk_rope_head_dim": 10}
    row = row_of(
        model_type="glm_moe_dsa",
        **shapes,
        v_head_dim=20,
        q_lora_rank=60,
        index_head_dim=16,
        index_n_heads=4,
        indexer_types=["full", "shared"],
    )
    assert row["kv_bytes_per_token_bf16"] == 2 * (50 + 10) * 2 + (16 + 4)
    assert row["attention"] == "MLA+DSA"


def test_windows_and_full_layers_are_told_apart() -> None:
    types = ["sliding_attention", "full_attention"]
    row = row_of(model_type="gpt_oss", layer_types=types, sliding_window=128)
    per_layer = 2 * 2 * 100 * 2
    assert row["kv_bytes_per_token_bf16"] == per_layer
    assert row["kv_bytes_windowed_per_token_bf16"] == per_layer
    assert (row["windowed_layers"], row["window_tokens"]) == (1, 128)
    assert row["attention"] == "GQA+sliding"


def test_a_delta_net_keeps_a_state_instead_of_a_cache() -> None:
    row = row_of(
        model_type="qwen3_next",
        full_attention_interval=2,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        linear_key_head_dim=10,
        linear_value_head_dim=20,
        linear_conv_kernel_dim=4,
    )
    # 4 · 10 · 20 values and a convolution of (2·2·10 + 4·20) · 3, at 2 bytes
    assert row["linear_state_bytes"] == (800 + 120 * 3) * 2
    assert (row["linear_layers"], row["full_attention_layers"]) == (1, 1)


def test_a_vision_tower_is_weighed_and_does_not_work_on_text() -> None:
    tower = {"depth": 1, "hidden_size": 10, "intermediate_size": 20, "patch_size": 2}
    row = row_of(model_type="qwen3_vl", text_config=BASE, vision_config=tower)
    # block 4·11·10 + 2·10·20 + 20 + 50, patches (3·4 + 1)·10, projector 11·10 + 11·1000 + 20
    assert float(row["vision_b"]) * 1e9 == pytest.approx(910 + 130 + 11_130, abs=501)
    assert row["active_parameters_b"] == pytest.approx(
        float(row["parameters_b"]) - float(row["vision_b"]), abs=2e-6
    )


# --- Formats ------------------------------------------------------------------------------------


def test_blocks_of_fp8_leave_tables_and_norms_wide() -> None:
    row = row_of(quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128]})
    assert (row["native_precision"], row["quantisation_block"]) == ("fp8", 128)
    assert row["stored_as"] == "embedding=bf16 unembedding=bf16 norms=bf16"


@pytest.mark.parametrize("pattern", ["model.layers.*.self_attn*", "re:.*self_attn.*", "self_attn"])
def test_excepted_modules_are_named_by_globs_expressions_and_parts(pattern: str) -> None:
    quantisation = {"quantization": {"quant_algo": "NVFP4", "exclude_modules": [pattern]}}
    row = row_of(quantisation)
    assert row["native_precision"] == "nvfp4"
    assert "attention=bf16" in str(row["stored_as"])
    assert "dense_mlp" not in str(row["stored_as"])


def test_a_group_in_two_formats_tells_the_shares() -> None:
    # Layer 0 keeps its 2.4 M of 4.8 M in bf16.
    excepted = ["model.layers.0.self_attn*"]
    row = row_of({"quantization": {"quant_algo": "FP8", "exclude_modules": excepted}})
    assert "attention=50%bf16+50%fp8" in str(row["stored_as"])


def test_layers_quantised_one_by_one_leave_the_rest_wide() -> None:
    layers = {f"model.layers.{i}.mlp.{m}_proj": {"quant_algo": "FP8"} for i in (0, 1) for m in MLP}
    row = row_of({"quantization": {"quant_algo": "MIXED_PRECISION", "quantized_layers": layers}})
    assert row["native_precision"] == "fp8"
    assert "attention=bf16" in str(row["stored_as"])


MLP = ("gate", "up", "down")


def test_packed_integers_tell_their_group() -> None:
    packed = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    row = row_of(quantization_config=packed)
    assert (row["native_precision"], row["quantisation_block"]) == ("int4", 128)


# --- Files --------------------------------------------------------------------------------------


def test_a_config_becomes_a_row_under_its_names(tmp_path: Path) -> None:
    write(tmp_path, "maker--Toy-1B-Instruct_config.json", BASE)
    llm = imported(tmp_path, tmp_path / "maker--Toy-1B-Instruct_config.json")
    assert (llm.id, llm.hf_id) == ("toy-1b-instruct", "maker/Toy-1B-Instruct")
    catalog = load_catalog(tmp_path / "mine")
    assert catalog.llm("maker/Toy-1B-Instruct") == catalog.llm("Toy-1B-Instruct") == llm
    assert llm.source == "maker/Toy-1B-Instruct config.json"


def test_the_quantisation_file_beside_is_read_too(tmp_path: Path) -> None:
    config = write(tmp_path, "config.json", {**BASE, "_name_or_path": "maker/toy"})
    write(tmp_path, "hf_quant_config.json", {"quantization": {"quant_algo": "FP8"}})
    assert imported(tmp_path, config).native_precision == "fp8"


def test_a_known_llm_in_its_own_format_keeps_its_id(tmp_path: Path) -> None:
    config = write(tmp_path, "config.json", BASE)
    assert imported(tmp_path, config, hf_id="meta-llama/Meta-Llama-3.1-8B").id == "llama-3.1-8b"


def header(folder: Path, name: str, tensors: Mapping[str, tuple[str, list[int]]]) -> Path:
    entries = {k: {"dtype": d, "shape": s, "data_offsets": [0, 0]} for k, (d, s) in tensors.items()}
    text = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    path = folder / name
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"weights are not read")
    return path


TENSORS: dict[str, tuple[str, list[int]]] = {
    "model.embed_tokens.weight": ("BF16", [5000, 1000]),
    "model.layers.0.self_attn.q_proj.weight": ("F8_E4M3", [1000, 1000]),
    "model.layers.0.self_attn.q_proj.weight_scale_inv": ("F32", [8, 8]),
    "model.layers.0.mlp.up_proj.weight": ("U8", [3000, 500]),
    "model.layers.0.mlp.up_proj.weight_scale": ("F8_E4M3", [3000, 63]),
    "model.layers.0.input_layernorm.weight": ("BF16", [1000]),
    "model.layers.2.eh_proj.weight": ("BF16", [1000, 2000]),
    "lm_head.weight": ("BF16", [5000, 1000]),
}


def test_headers_win_over_the_config(tmp_path: Path) -> None:
    write(tmp_path, "config.json", BASE)
    header(tmp_path, "model.safetensors", TENSORS)
    llm = imported(tmp_path, tmp_path, hf_id="maker/toy")
    # The packed bytes hold two values each; scales and the draft head are no parameters.
    assert llm.attention_b == pytest.approx(0.001)
    assert llm.dense_mlp_b == pytest.approx(0.003)
    assert llm.parameters_b == pytest.approx(0.014001)
    assert "attention=fp8" in llm.stored_as
    assert "dense_mlp=nvfp4" in llm.stored_as


def test_one_file_of_several_does_not_stand_for_all(tmp_path: Path) -> None:
    write(tmp_path, "config.json", BASE)
    header(tmp_path, "model-00001-of-00002.safetensors", TENSORS)
    read = import_hf([tmp_path], tmp_path / "mine", hf_id="maker/toy")
    assert read.llms[0].row["parameters_b"] == pytest.approx(0.032805)
    assert "sizes are the config's until all files" in "\n".join(read.lines())


def index(folder: Path, total: float) -> Path:
    document = {"metadata": {"total_size": total}, "weight_map": {"lm_head.weight": "a"}}
    return write(folder, "model.safetensors.index.json", document)


def test_an_index_confirms_or_corrects_the_config(tmp_path: Path) -> None:
    # The config gives 32.805 M parameters: 65.61 MB.
    write(tmp_path, "config.json", BASE)
    index(tmp_path, 66e6)
    llm = imported(tmp_path, tmp_path, hf_id="maker/toy")
    assert llm.parameters_b == pytest.approx(0.032805)
    index(tmp_path, 75.61e6)  # 10 MB more are 5 M parameters
    (tmp_path / "mine").rename(tmp_path / "before")
    llm = imported(tmp_path, tmp_path, hf_id="maker/toy")
    assert llm.parameters_b == pytest.approx(0.037805)
    assert llm.attention_b == pytest.approx(0.0098)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({**BASE, "model_type": "bert"}, "model_type: architecture 'bert' is not known"),
        ({**BASE, "hidden_size": None}, "hidden_size: is missing"),
        ({**BASE, "hidden_size": "wide"}, "hidden_size: is 'wide', not a whole number"),
        (
            {**BASE, "quantization_config": {"quant_method": "magic"}},
            "quantization_config.quant_method: quantisation 'magic' is not known",
        ),
    ],
)
def test_what_is_not_known_is_said(tmp_path: Path, document: Any, said: str) -> None:
    config = write(tmp_path, "config.json", document)
    with pytest.raises(InputError) as error:
        import_hf([config], tmp_path / "mine", hf_id="maker/toy")
    assert said in str(error.value)
    assert not (tmp_path / "mine").exists()


def test_a_config_without_a_name_asks_for_it(tmp_path: Path) -> None:
    config = write(tmp_path, "config.json", BASE)
    with pytest.raises(InputError, match="does not say which LLM it is of"):
        import_hf([config], tmp_path / "mine")


def test_an_index_of_another_checkpoint_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "config.json", BASE)
    index(tmp_path, 30e6)
    with pytest.raises(InputError, match="is it of another checkpoint"):
        import_hf([tmp_path], tmp_path / "mine", hf_id="maker/toy")


@pytest.mark.parametrize("content", [b"", b"\x00" * 4, struct.pack("<Q", 500) + b"{}", b"x" * 90])
def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, "config.json", BASE)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"not a safetensors file|ends within its header"):
        import_hf([tmp_path], tmp_path / "mine", hf_id="maker/toy")


# --- Published configs --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Llm]:
    if not CONFIGS.is_dir():
        pytest.skip("the published configs are absent")
    out = tmp_path_factory.mktemp("hf") / "all"
    import_hf(sorted(CONFIGS.glob("*.json")), out)
    llms = load_catalog(out).llms.values()
    return {llm.hf_id: llm for llm in llms if llm.override}


@pytest.mark.slow
@needs_configs
def test_every_published_config_maps(published: dict[str, Llm]) -> None:
    assert len(published) == 73


@needs_configs
@pytest.mark.parametrize(
    ("hf_id", "billions", "active"),
    [
        ("meta-llama/Meta-Llama-3.1-8B", 8.030, 8.030),
        ("meta-llama/Meta-Llama-3.1-405B", 405.9, 405.9),
        ("openai/gpt-oss-120b", 116.8, 5.7),
        ("deepseek-ai/DeepSeek-V3", 671, 37.5),
        ("deepseek-ai/DeepSeek-V4-Flash", 284, 13.8),
        ("Qwen/Qwen3-VL-8B-Instruct", 8.77, 8.19),
        ("Qwen/Qwen3-VL-2B-Instruct", 2.13, 1.72),
        ("nvidia/Llama-3_3-Nemotron-Super-49B-v1", 49.9, 49.9),
        ("nvidia/Nemotron-H-56B-Base-8K", 56.3, 56.3),
        ("nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8", 120.7, 12.8),
        ("MiniMaxAI/MiniMax-M2.5", 228.7, 11),
        ("zai-org/GLM-5", 744, 41.8),
    ],
)
def test_parameters_are_those_that_publishers_state(
    published: dict[str, Llm], hf_id: str, billions: float, active: float
) -> None:
    assert published[hf_id].parameters_b == pytest.approx(billions, rel=0.01)
    assert published[hf_id].active_parameters_b == pytest.approx(active, rel=0.01)


@needs_configs
@pytest.mark.parametrize(
    ("hf_id", "gb"),
    [
        ("moonshotai/Kimi-K2.5", 595),
        ("Qwen/Qwen3-30B-A3B-FP8", 29.1 * 2**30 / 1e9),
        ("openai/gpt-oss-120b", 65.25),
        ("nvidia/Llama-3.1-70B-Instruct-FP8", 72.7),
    ],
)
def test_checkpoints_have_their_known_size(
    published: dict[str, Llm], hf_id: str, gb: float
) -> None:
    assert checkpoint_bytes(published[hf_id]) / 1e9 == pytest.approx(gb, rel=0.02)


@needs_configs
@pytest.mark.parametrize(
    ("hf_id", "kib"),
    [
        ("meta-llama/Meta-Llama-3.1-8B", 128),
        ("meta-llama/Meta-Llama-3.1-70B", 320),
        ("Qwen/Qwen3-32B", 256),
        ("Qwen/Qwen3-235B-A22B", 188),
        ("openai/gpt-oss-120b", 36),
        ("deepseek-ai/DeepSeek-R1", 68.625),
    ],
)
def test_caches_are_the_known_ones(published: dict[str, Llm], hf_id: str, kib: float) -> None:
    assert kv_bytes_per_token(published[hf_id]) == kib * 1024


@needs_configs
def test_the_formats_of_known_checkpoints(published: dict[str, Llm]) -> None:
    def formats(hf_id: str) -> dict[str, str]:
        llm = published[hf_id]
        return {g.name: g.format for g in weight_groups(llm, llm.native_precision)}

    kimi = formats("moonshotai/Kimi-K2.5")
    assert {name for name, written in kimi.items() if written == "int4"} == {"experts"}
    flash = formats("deepseek-ai/DeepSeek-V4-Flash")
    assert (flash["experts"], flash["shared_experts"]) == ("mxfp4", "fp8")
    assert formats("nvidia/MiniMax-M3-NVFP4")["dense_mlp"] == "mxfp8"
    assert formats("nvidia/Qwen3.6-27B-NVFP4")["unembedding"] == "nvfp4"
    assert linear_state_bytes(published["Qwen/Qwen3.5-27B"]) == pytest.approx(153.9e6, rel=0.001)
