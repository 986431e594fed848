"""The accuracy report: what it leaves out and why, and figures that can be checked by hand."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from milp_planner.errors import InputError
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm
from milp_planner.serving.derate import (
    DERATES,
    ESTIMATED,
    MEASURED,
    OTHER_TENSOR_PARALLEL,
    QUANTILES,
    SAME_REPLICA,
)
from milp_planner.serving.roofline import Roofline, roofline
from milp_planner.study.accuracy import (
    derate_ratios,
    family,
    faster_of_two,
    main,
    quantile,
    report,
    row,
)
from milp_planner.study.error_by_evidence import ratios_by_evidence
from milp_planner.study.leave_one_out import FITTED, fit_factors, left_out_ratios
from milp_planner.study.samples import Sample, Samples, read_samples

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
DAY = date(2026, 1, 1)

LLAMA = Llm(
    id="llama-70b",
    parameters_b=70.552,
    layers=80,
    hidden_size=8192,
    attention_heads=64,
    kv_heads=8,
    head_dim=128,
    attention="GQA",
    source="test",
    as_of=DAY,
)
QWEN = LLAMA.model_copy(update={"id": "qwen-32b", "parameters_b": 32.0, "layers": 64})
MLA = Llm(
    id="mla",
    parameters_b=200.0,
    active_parameters_b=20.0,
    layers=40,
    hidden_size=5120,
    attention_heads=128,
    attention="MLA",
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
    moe_layers=40,
    experts=100,
    experts_per_token=8,
    moe_ffn_size=2560,
    native_precision="fp8",
    source="test",
    as_of=DAY,
)


def gpu(name: str, bandwidth: float) -> Gpu:
    return Gpu(
        id=name,
        vendor="v",
        memory_gib=141,
        memory_bandwidth_gb_per_s=bandwidth,
        bf16_tflops=989,
        fp8_tflops=1978,
        interconnect="nvlink",
        source="test",
        as_of=DAY,
    )


CATALOG = Catalog.of(gpus=[gpu("slow", 3350), gpu("fast", 4800)], llms=[LLAMA, QWEN, MLA])


def llm_of(sample: Sample) -> object:
    return sample.llm.id


def estimate(llm: str, on: str, tp: int = 4, size: tuple[float, float] = (1000, 500)) -> Roofline:
    return roofline(CATALOG.llms[llm], CATALOG.gpus[on], "fp8", tp, *size)


def point(
    llm: str = "llama-70b", on: str = "fast", n: float = 8, ratio: float = 1.0, **fields: Any
) -> dict[str, Any]:
    """A row whose rate is `ratio` times the estimate, and its time per token 1 ÷ `ratio` times."""
    tp = int(fields.get("tensor_parallel", 4))
    size = fields.pop("size", (1000, 500))
    model = estimate(llm, on, tp, size)
    given = {
        "llm": llm,
        "gpu": on,
        "precision": "fp8",
        "tensor_parallel": tp,
        "engine": "vllm",
        "regime": "fixed_concurrency",
        "input_tokens": size[0],
        "output_tokens": size[1],
        "concurrency": n,
        "output_tokens_per_second": ratio * model.output_tokens_per_second(n),
        "tpot_s": model.tpot_s(n) / ratio,
        "as_of": "2026-01-01",
        "source": "lab",
        "note": "",
    }
    return {**given, **fields}


def read(folder: Path, rows: Iterable[Mapping[str, Any]]) -> Samples:
    rows = list(rows)
    with (folder / "measurements.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return read_samples(folder, CATALOG)


def test_a_row_becomes_a_sample_with_its_ratio_to_the_estimate(tmp_path: Path) -> None:
    samples = read(tmp_path, [point(ratio=0.8)])
    assert len(samples.inside) == 1
    assert samples.inside[0].rate_ratio == pytest.approx(0.8)
    assert samples.inside[0].tpot_ratio == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"regime": "offline_max"}, "endless queue: no concurrency or latency"),
        ({"regime": "static_batch"}, "static batch: no continuous batching"),
        ({"regime": "burst_of_n_requests"}, "burst: latency is queueing"),
        ({"regime": "mlperf_server"}, "system-level (MLPerf)"),
        ({"regime": "fixed_concurrency_disagg"}, "disaggregated prefill and decode"),
        ({"note": "with EAGLE drafts"}, "speculative decoding, labelled"),
        ({"tpot_s": ""}, "request size, concurrency, GPUs, rate or tpot not stated"),
        ({"precision": "not stated"}, "precision not stated"),
        ({"precision": "experts fp4, rest fp8"}, "precision mixed"),
        ({"gpu": "abacus"}, "LLM or GPU unknown, or without the facts to estimate it"),
        ({"tpot_s": 1e-4}, "faster than the memory can be read"),
    ],
)
def test_rows_outside_the_model_are_counted_by_reason(
    tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    samples = read(tmp_path, [point(), {**point(n=16), **fields}])
    assert len(samples.inside) == 1
    assert samples.left_out == {reason: 1}


def test_more_in_flight_than_fit_is_left_out_but_kept_for_comparison(tmp_path: Path) -> None:
    # 126.9 − 65.7 − 6 = 55.2 GiB; 5,000 tokens at 320 KiB are 1.526 GiB: 36 fit
    rows = [point(n=n, tensor_parallel=1, size=(4000, 1000)) for n in (36, 37)]
    samples = read(tmp_path, rows)
    assert [s.concurrency for s in samples.inside] == [36]
    assert [s.concurrency for s in samples.crowded] == [37]
    assert samples.left_out == {"more requests in flight than fit in memory": 1}


def test_a_row_without_precision_is_left_out_but_compared_with_that_of_the_checkpoint(
    tmp_path: Path,
) -> None:
    rows = [point("mla"), point("mla", n=16, precision="", ratio=0.5)]
    samples = read(tmp_path, rows)
    assert [s.precision for s in samples.unstated] == ["fp8"]  # its native precision
    assert samples.unstated[0].rate_ratio == pytest.approx(0.5)
    assert [s.concurrency for s in samples.widest] == [8, 16]
    assert samples.left_out == {"precision not stated": 1}


def test_the_same_measurement_under_two_names_counts_once(tmp_path: Path) -> None:
    samples = read(tmp_path, [point(), point(source="a copy")])
    assert len(samples.inside) == 1
    assert samples.left_out == {"the same measurement again": 1}


def test_the_faster_of_two_twins_of_an_mla_llm_is_taken_for_speculative(tmp_path: Path) -> None:
    rows = [point("mla", ratio=1.6), point("mla", ratio=1.0), point("mla", n=16, ratio=1.6)]
    samples = read(tmp_path, rows)
    assert [round(s.rate_ratio, 6) for s in samples.speculative] == [1.6]
    assert len(samples.inside) == 2
    dense = read(tmp_path, [point(ratio=1.6), point(ratio=1.0)])
    assert dense.left_out == {}


def test_a_folder_without_measurements_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no measurements: looked for throughput/measured"):
        read_samples(tmp_path, CATALOG)


def test_the_published_layout_is_read_too(tmp_path: Path) -> None:
    ours = point()
    theirs = {
        "model": "llama-70b",
        "gpu": "FAST",
        "precision": "FP8",
        "gpus_in_group": "4.0",
        "parallelism": "TP4",
        "engine": "vllm",
        "regime": "fixed_concurrency",
        "input_tokens": "1000",
        "output_tokens": "500",
        "concurrency": "8",
        "output_tok_per_s_group": ours["output_tokens_per_second"],
        "tpot_ms": ours["tpot_s"] * 1e3,
        "quality": "ok",
        "set": "lab",
        "measured_on": "2026-01-01",
        "notes": "",
    }
    rows = [theirs]
    rows += [
        {**theirs, "parallelism": p, "concurrency": "9"} for p in ("TP1,PP4", "TP1,EP4", "TP8")
    ]
    rows += [
        {**theirs, "quality": "suspect"},
        {**theirs, "parallelism": "TP16,EP4", "concurrency": "7"},
    ]
    (tmp_path / "throughput").mkdir()
    with (tmp_path / "throughput" / "measured_throughput.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(theirs))
        writer.writeheader()
        writer.writerows(rows)
    samples = read_samples(tmp_path, CATALOG)
    assert [s.concurrency for s in samples.inside] == [8, 7]
    assert samples.left_out == {
        "several replicas, pipeline or data parallel, or more than 8 GPUs": 3,
        "doubtful in its collection": 1,
    }


def test_the_faster_of_two_gpus_is_judged_by_measured_throughput(tmp_path: Path) -> None:
    # the estimate prefers the fast GPU; at n = 16 it measured half of the estimate and lost
    rows = [point(on=on, n=n) for on in ("slow", "fast") for n in (4, 8)]
    rows += [point(on="slow", n=16), point(on="fast", n=16, ratio=0.5)]
    rows += [point("qwen-32b", on="slow")]  # nothing to compare with
    assert faster_of_two(read(tmp_path, rows).inside) == (2, 3)


def test_quantiles_are_linear_between_neighbours() -> None:
    assert [quantile([3, 1, 2], share) for share in (0, 0.25, 0.5, 1)] == [1, 1.5, 2, 3]
    assert quantile([7], 0.9) == 7


def test_a_line_of_the_report_by_hand(tmp_path: Path) -> None:
    # estimated ÷ measured is 1/0.8 and 1: errors 25 % and 0, median 12.5 %, p90 22.5 %
    samples = read(tmp_path, [point(ratio=0.8), point(n=16)])
    assert row("llama", samples.inside).split() == [
        "llama",
        "2",
        "10.0%",  # tpot: 0.8 − 1 and 0
        "18.0%",
        "12.5%",
        "22.5%",
        "0.90",
    ]


def test_each_kind_of_evidence_predicts_from_the_other_rows(tmp_path: Path) -> None:
    rows = [
        point(ratio=0.5),
        point(ratio=0.5 * 1.1, tpot_s=0.5),  # the same setting again
        point(size=(100, 500), ratio=2.0),
        point(tensor_parallel=8, ratio=1.0),
    ]
    found = ratios_by_evidence(read(tmp_path, rows).inside)
    assert sorted(found[MEASURED]) == pytest.approx([1 / 1.1, 1.1])
    # the other size predicts 2.0, and is predicted by √(0.5 · 0.55)
    assert sorted(found[SAME_REPLICA]) == pytest.approx([0.25, 0.275, 2 / (0.5 * 0.55) ** 0.5])
    assert found[OTHER_TENSOR_PARALLEL][-1] == pytest.approx(1 / (0.5 * 0.55 * 2) ** (1 / 3))


def test_refitted_constants_stay_where_the_estimate_is_right(tmp_path: Path) -> None:
    rows = [point(llm, n=n) for llm in ("llama-70b", "qwen-32b") for n in (1, 8, 64)]
    samples = read(tmp_path, rows).inside
    assert fit_factors(samples) == pytest.approx(list(FITTED.values()))
    assert list(FITTED.values())[:9] == [1.0] * 9
    for _, ratios in left_out_ratios(samples, llm_of):
        assert [r for pair in ratios for r in pair] == pytest.approx([1.0] * 6)


def test_constants_are_refitted_on_the_other_llms_only(tmp_path: Path) -> None:
    # qwen is twice as slow as estimated: refitted on it alone, llama is expected slower too
    rows = [point(n=n) for n in (1, 8, 64)]
    rows += [point("qwen-32b", n=n, ratio=0.5) for n in (1, 8, 64)]
    samples = read(tmp_path, rows).inside
    found = {first.llm.id: ratios for first, ratios in left_out_ratios(samples, llm_of)}
    assert all(rate > 1.2 for _, rate in found["llama-70b"])
    assert all(rate == pytest.approx(0.5) for _, rate in found["qwen-32b"])


def test_the_kernels_of_a_format_are_learnt_from_the_other_llms_only(tmp_path: Path) -> None:
    # all rows are met exactly by the shipped constants, 50 µs for fp8 experts; where the dense LLM
    # alone is left to learn from, the 40 µs of bf16 stand: over 40 layers 0.4 ms too little
    samples = read(tmp_path, [point(llm, n=n) for llm in ("mla", "llama-70b") for n in (1, 2)])
    found = {first.llm.id: ratios for first, ratios in left_out_ratios(samples.inside, llm_of)}
    for n, (tpot, _) in zip((1, 2), found["mla"], strict=True):
        measured = estimate("mla", "fast").tpot_s(n)
        assert tpot == pytest.approx(measured / (measured - 0.4e-3))


def test_the_report_has_every_part(tmp_path: Path) -> None:
    rows = [
        point(llm, on, n) for llm in ("llama-70b", "mla") for on in ("slow", "fast") for n in (4, 8)
    ]
    text = "\n".join(report(read(tmp_path, rows)))
    for part in (
        "8 rows, 8 inside the model",
        "by LLM family",
        "by GPU",
        "by engine",
        "the faster of two GPUs is named in 4 of 4 pairs: 100.0%",
        "constants refitted with one LLM left out",
        "constants refitted with one GPU left out",
        "all, each left out once",
        "estimated, dense",
        "estimated, MoE",
        "not used, the estimate alone is nearer",
    ):
        assert part in text


def test_a_family_is_the_name_before_the_version(tmp_path: Path) -> None:
    samples = read(tmp_path, [point(), point("mla")])
    assert [family(s) for s in samples.inside] == ["llama", "mla"]


def test_the_command_needs_one_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([]) == 2
    assert "usage: python -m milp_planner.study.accuracy FOLDER" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert "no measurements" in capsys.readouterr().err


def test_a_reader_that_goes_away_ends_the_report_quietly() -> None:
    command = [sys.executable, "-m", "milp_planner.study.accuracy", str(ROOT / "catalogs/market")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        assert (run.stderr.read(), run.wait()) == (b"", 141)


def test_shipped_rows_of_llms_with_draft_heads_are_plain() -> None:
    samples = read_samples(ROOT / "catalogs" / "market", load_catalog("market"))
    assert samples.speculative == ()
    compressed = [s.rate_ratio for s in samples.inside if s.llm.attention.startswith("MLA")]
    assert max(compressed) < 1.4


public = pytest.mark.skipif(
    not (SHARED / "data" / "throughput").is_dir(), reason="no published rows here"
)


@pytest.fixture(scope="module")
def published() -> Samples:
    return read_samples(SHARED / "data", load_catalog("market"))


@public
def test_the_public_measurements_are_met_as_the_readme_says(published: Samples) -> None:
    lines = [line.split() for line in report(published)]
    said = (ROOT / "milp_planner" / "study" / "README.md").read_text(encoding="utf-8")
    left_out = [line[5:] for line in lines if line[:5] == ["all,", "each", "left", "out", "once"]]
    figures = {label: figures_of(lines, name) for label, name in README_ROWS.items()}
    figures["one LLM left out of the constants"], figures["one GPU left out of the constants"] = (
        left_out
    )
    for label, (rows, *errors) in figures.items():
        shown = " | ".join(error.replace("%", " %") for error in errors[:4])
        assert f"| {label} | {int(rows):,} | {shown} |" in said
    right, pairs = faster_of_two(published.inside)
    assert f"in {right:,} of {pairs:,} pairs ({right / pairs:.1%})".replace("%", " %") in said


README_ROWS = {
    "all": "all",
    "Llama": "llama",
    "Qwen": "qwen",
    "gpt-oss": "gpt-oss",
    "DeepSeek-V": "deepseek-v",
    "Kimi": "kimi-k",
    "GLM": "glm",
    "with all that can be compared at all": "with all of these",
}
"""Rows of the README's table, and the line of the report that each repeats."""


def figures_of(lines: Iterable[list[str]], name: str) -> list[str]:
    """The figures of the first line that begins with `name`."""
    words = name.split()
    return next(line[len(words) :] for line in lines if line[: len(words)] == words)


@public
def test_the_public_measurements_are_met_better_than_the_reference(published: Samples) -> None:
    for group, most in ((published.inside, 0.10), (published.widest, 0.11)):
        assert len(group) > 1_500
        assert quantile([abs(1 / s.tpot_ratio - 1) for s in group], 0.5) < most
        assert quantile([abs(1 / s.rate_ratio - 1) for s in group], 0.5) < 0.10
    right, pairs = faster_of_two(published.inside)
    assert right / pairs > 0.95
    for of in (llm_of, lambda s: s.gpu.id):
        left_out = [pair for _, ratios in left_out_ratios(published.inside, of) for pair in ratios]
        assert quantile([abs(1 / tpot - 1) for tpot, _ in left_out], 0.5) < 0.12
        assert quantile([abs(1 / rate - 1) for _, rate in left_out], 0.5) < 0.13


@public
@pytest.mark.parametrize(
    ("evidence", "moe"),
    [
        (MEASURED, True),  # no dense replica was measured twice
        *product((SAME_REPLICA, OTHER_TENSOR_PARALLEL, ESTIMATED), (False, True)),
    ],
)
def test_the_derates_are_what_the_report_prints(
    published: Samples, moe: bool, evidence: str
) -> None:
    ratios = derate_ratios(published.inside, moe)[evidence]
    printed = tuple(float(f"{quantile(ratios, share):.2f}") for share in QUANTILES)
    assert DERATES[evidence, moe] == printed
