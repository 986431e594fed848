"""The format that each module is stored in, from the quantisation block of a config.

Understood: fp8 with blocks (`quant_method: fp8`), mxfp4, compressed-tensors, GPTQ, AWQ, and the
files of ModelOpt (`hf_quant_config.json`, or the same inside `config.json`). A pattern names a run
of dotted parts (`mlp.gate`), or a glob with `*`, or a regular expression after `re:`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import translate
from typing import Any

from milp_planner.errors import input_error
from milp_planner.inputs.catalog.tensor_groups import GROUPS, WIDE_GROUPS, format_bytes
from milp_planner.inputs.imports.hf.config import Config
from milp_planner.inputs.imports.hf.modules import EXPERTS, Module
from milp_planner.lazily import dataclass, field
from milp_planner.units import shown

PREFIX = re.compile(r"^(?:re:|\*\.)?(?:language_model\.|model\.|backbone\.|transformer\.)*")
ALGORITHMS = {
    "FP8": "fp8",
    "FP8_PB_WO": "fp8",
    "FP8_PER_CHANNEL_PER_TOKEN": "fp8",
    "NVFP4": "nvfp4",
    "W4A16_NVFP4": "nvfp4",
    "NVFP4_AWQ": "nvfp4",
    "W4A8_NVFP4_FP8": "nvfp4",
    "MXFP8": "mxfp8",
    "MXFP4": "mxfp4",
    "W4A8_MXFP4_FP8": "mxfp4",
    "W4A16_AWQ": "int4",
    "W4A8_AWQ": "int4",
    "INT4_AWQ": "int4",
    "W8A8_SQ_PER_CHANNEL": "int8",
    "INT8": "int8",
}
"""ModelOpt's names of formats."""

DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "float8_e4m3fn": "fp8"}
MIXED = "MIXED_PRECISION"
HEAD = "lm_head"


@dataclass(frozen=True)
class Formats:
    """How the modules of one checkpoint are stored."""

    wide: str
    """Format of what is not quantised."""

    base: str = ""
    """Format of every weight matrix that nothing below excepts; '' where there is none."""

    excepted: Callable[[str], bool] = lambda name: False
    """Whether a module is left in `wide`, by name."""

    named: tuple[tuple[Callable[[str], bool], str], ...] = ()
    """Formats of modules by name; they go first."""

    block: int = 0
    """Width of the blocks that share a scale."""

    experts: str = ""
    """Format of the routed experts where it differs from `base`."""

    notes: tuple[str, ...] = field(default=())

    def of(self, module: Module) -> str:
        """The format of one module."""
        if not module.is_linear:
            return self.wide
        for matches, name in self.named:
            if matches(module.name):
                return name
        if not self.base or module.group in WIDE_GROUPS or self.excepted(module.name):
            return self.wide
        return self.experts if self.experts and module.group == EXPERTS else self.base


def formats_of(config: Config, quantisation: Mapping[str, Any] | None) -> Formats:
    """How the checkpoint is stored; `quantisation` is the content of `hf_quant_config.json`."""
    wide = _wide(config)
    inside = config.get("quantization_config") or {}
    outside = dict((quantisation or {}).get("quantization") or {})
    if not inside and not outside:
        return Formats(wide)
    stated = {**outside, **inside}
    method = str(stated.get("quant_method", "")) or "modelopt"
    read = METHODS.get(method)
    if read is None:
        known = ", ".join(METHODS)
        text = f"quantisation {method!r} is not known; known are {known}"
        raise input_error(text, file=config.file, path="quantization_config.quant_method")
    return read(config, stated, wide)


def _wide(config: Config) -> str:
    dtype = str(config.get("torch_dtype", "dtype", default="bfloat16")).removeprefix("torch.")
    return {"float16": "fp16", "half": "fp16"}.get(dtype, "bf16")


# --- Methods ------------------------------------------------------------------------------------


def _fp8(config: Config, stated: Mapping[str, Any], wide: str) -> Formats:
    """Blocks of fp8; experts may be fp4 (DeepSeek-V4), or given another format by name."""
    block = (stated.get("weight_block_size") or [0])[-1]
    experts = {"fp4": "mxfp4", "fp8": "fp8"}.get(str(config.get("expert_dtype")), "")
    kept = _any_of([*_listed(stated, "modules_to_not_convert"), HEAD])
    named = tuple(_named_layers(config, stated))
    return Formats(wide, "fp8", kept, named, int(block), experts)


def _mxfp4(config: Config, stated: Mapping[str, Any], wide: str) -> Formats:
    kept = _any_of([*_listed(stated, "modules_to_not_convert"), HEAD])
    return Formats(wide, "mxfp4", kept)


def _modelopt(config: Config, stated: Mapping[str, Any], wide: str) -> Formats:
    algorithm = str(stated.get("quant_algo") or "").upper()
    listed = [*_listed(stated, "exclude_modules"), *_listed(stated, "ignore")]
    kept = _any_of([*listed, HEAD])
    named = tuple(_named_layers(config, stated))
    if algorithm == MIXED:
        return Formats(wide, "", kept, named)
    notes = () if listed else ("the quantisation file does not say which modules are left wide",)
    return Formats(wide, _algorithm(config, algorithm), kept, named, notes=notes)


def _compressed(config: Config, stated: Mapping[str, Any], wide: str) -> Formats:
    """compressed-tensors: groups of targets, each with bits and type of its weights."""
    kept = _any_of([*_listed(stated, "ignore"), HEAD])
    base, named, block = "", [], 0
    for group in (stated.get("config_groups") or {}).values():
        weights = group.get("weights") or {}
        name = _weights_format(config, weights, str(group.get("format", "")))
        block = block or _block_width(weights)
        targets = [str(target) for target in group.get("targets") or ["Linear"]]
        if "Linear" in targets:
            base = name
        else:
            named.append((_unless(kept, _any_of(targets)), name))
    return Formats(wide, base, kept, tuple(named), block)


def _packed(config: Config, stated: Mapping[str, Any], wide: str) -> Formats:
    """GPTQ and AWQ: integers of some bits in groups along the inputs."""
    bits = int(stated.get("bits") or stated.get("w_bit") or 4)
    kept = _any_of([*_listed(stated, "modules_to_not_convert"), HEAD])
    group = int(stated.get("group_size") or stated.get("q_group_size") or 0)
    base = {4: "int4", 8: "int8"}.get(bits)
    if base is None:
        text = f"{bits} bits are not known; known are 4 and 8"
        raise input_error(text, file=config.file, path="quantization_config.bits")
    return Formats(wide, base, kept, block=max(group, 0))


METHODS: dict[str, Callable[[Config, Mapping[str, Any], str], Formats]] = {
    "fp8": _fp8,
    "fbgemm_fp8": _fp8,
    "mxfp4": _mxfp4,
    "modelopt": _modelopt,
    "modelopt_fp4": _modelopt,
    "compressed-tensors": _compressed,
    "gptq": _packed,
    "awq": _packed,
}


def _algorithm(config: Config, name: str) -> str:
    if name not in ALGORITHMS:
        text = f"{name!r} is not known; known are {', '.join(ALGORITHMS)}"
        raise input_error(text, file=config.file, path="quantization.quant_algo")
    return ALGORITHMS[name]


def _weights_format(config: Config, weights: Mapping[str, Any], packed_as: str) -> str:
    bits, kind = int(weights.get("num_bits") or 0), str(weights.get("type"))
    if (bits, kind) == (4, "float"):
        is_mxfp4 = "mxfp4" in packed_as or weights.get("group_size") == 32
        return "mxfp4" if is_mxfp4 else "nvfp4"
    known = {(8, "float"): "fp8", (8, "int"): "int8", (4, "int"): "int4"}
    if (bits, kind) not in known:
        text = f"weights of {bits} bits and type {kind!r} are not known"
        raise input_error(text, file=config.file, path="quantization_config.config_groups")
    return known[(bits, kind)]


def _block_width(weights: Mapping[str, Any]) -> int:
    structure = weights.get("block_structure")
    if isinstance(structure, list) and structure:
        return int(structure[-1])
    return int(weights.get("group_size") or 0)


def _named_layers(
    config: Config, stated: Mapping[str, Any]
) -> Iterator[tuple[Callable[[str], bool], str]]:
    """Formats that `quantized_layers` gives to modules one by one."""
    layers = stated.get("quantized_layers")
    if not isinstance(layers, dict):
        return
    by_format: dict[str, list[str]] = {}
    for name, entry in layers.items():
        algorithm = str((entry or {}).get("quant_algo", "")).upper()
        by_format.setdefault(_algorithm(config, algorithm), []).append(name)
    for name, modules in by_format.items():
        yield _any_of(modules), name


# --- Names --------------------------------------------------------------------------------------


def _listed(stated: Mapping[str, Any], name: str) -> list[str]:
    found = stated.get(name)
    return [str(item) for item in found] if isinstance(found, list) else []


def _unless(kept: Callable[[str], bool], matches: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda name: matches(name) and not kept(name)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        said = f"{shown(pattern)} is no regular expression"
        raise input_error(said, path="quantization_config") from None


def _any_of(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a module's name, such as `layers.3.mlp.gate`, is meant by any of the patterns."""
    plain: set[str] = set()
    wild: list[re.Pattern[str]] = []
    for pattern in patterns:
        is_regex = pattern.startswith("re:")
        if not is_regex and not set("*?") & set(pattern.removeprefix("*.")):
            plain.add(PREFIX.sub("", pattern).removesuffix(".weight"))
        elif is_regex:
            wild.append(_compiled(pattern.removeprefix("re:")))
        else:
            wild.append(re.compile(translate(PREFIX.sub("", pattern))))

    def matches(name: str) -> bool:
        parts = name.split(".")
        runs = (
            ".".join(parts[start:end])
            for start in range(len(parts))
            for end in range(start + 1, len(parts) + 1)
        )
        return any(run in plain or any(w.match(run) for w in wild) for run in runs)

    return matches


# --- Groups -------------------------------------------------------------------------------------


def group_formats(modules: Iterable[Module], formats: Formats) -> dict[str, dict[str, int]]:
    """Parameters by group and format."""
    found: dict[str, dict[str, int]] = {}
    for module in (module for module in modules if module.parameters):
        group = found.setdefault(module.group, {})
        name = formats.of(module)
        group[name] = group.get(name, 0) + module.parameters
    return {group: found[group] for group in GROUPS if group in found}


SHARE_TOLD = 0.001
"""A format with less than this share of a group is not told."""


def main_format(groups: Mapping[str, Mapping[str, int]]) -> str:
    """The format of most parameters."""
    totals: dict[str, int] = {}
    for group in groups.values():
        for name, count in group.items():
            totals[name] = totals.get(name, 0) + count
    return max(totals, key=lambda name: (totals[name], name))


def stored_as(groups: Mapping[str, Mapping[str, int]], native: str) -> str:
    """The column `stored_as`: groups that are not stored in the `native` format.

    Of a quantised checkpoint also the tables and the like that are: they are taken for wide unsaid.
    """
    written = {name: _shares(group) for name, group in groups.items()}
    unusual = {name for name in WIDE_GROUPS if native not in ("bf16", "fp16")}
    told = {name: text for name, text in written.items() if text != native or name in unusual}
    return " ".join(f"{name}={text}" for name, text in told.items())


def _shares(group: Mapping[str, int]) -> str:
    """`fp8`, or `60.5%fp8+39.5%bf16`, the commonest first."""
    total = sum(group.values())
    kept = {name: count / total for name, count in group.items() if count / total >= SHARE_TOLD}
    if len(kept) == 1:
        return next(iter(kept))
    ranked = sorted(kept, key=lambda name: (-kept[name], name))
    last = 100 - sum(round(100 * kept[name], 1) for name in ranked[:-1])
    shares = [round(100 * kept[name], 1) for name in ranked[:-1]] + [round(last, 1)]
    return "+".join(f"{share:g}%{name}" for share, name in zip(shares, ranked, strict=True))


def stored_bytes(groups: Mapping[str, Mapping[str, int]], block: int) -> float:
    """Size of the checkpoint, in bytes."""
    return sum(
        count * format_bytes(name, block)
        for group in groups.values()
        for name, count in group.items()
    )
