"""The catalogs that come with milp_planner: whole, sourced, and found wherever it is installed."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from time import process_time

import pytest

from milp_planner.inputs.catalog.checks import REGIMES, most_tokens_per_second
from milp_planner.inputs.catalog.files import TABLES, load_catalog, shipped_catalogs
from milp_planner.inputs.catalog.records import Catalog, Sourced

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "catalogs" / "README.md").read_text(encoding="utf-8")
DATA = ROOT.parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the collected facts are not here")


@pytest.fixture(scope="module")
def market() -> Catalog:
    return load_catalog("market")


@pytest.fixture(scope="module")
def atlas() -> Catalog:
    return load_catalog("inference-atlas")


def rows(catalog: Catalog) -> Iterator[Sourced]:
    yield from catalog.gpus.values()
    yield from catalog.llms.values()
    yield from catalog.offerings
    yield from catalog.token_prices
    yield from catalog.measurements


# --- market -----------------------------------------------------------------------------------


def test_the_market_is_as_large_as_it_says(market: Catalog) -> None:
    known = [llm for llm in market.llms.values() if llm.layers]
    own_shape = [llm for llm in known if llm.same_shape_as is None]
    per_token_only = [llm for llm in market.llms.values() if not llm.layers]
    renting = {offering.provider for offering in market.offerings}
    selling_tokens = {price.provider for price in market.token_prices}
    assert len(market.offerings) >= 1_500
    assert len(renting) >= 30
    assert len(market.token_prices) >= 400
    assert len(market.measurements) >= 1_000
    assert (len(market.gpus), len(own_shape), len(known)) == (44, 83, 94)
    assert len(per_token_only) == 72
    for count, what in (
        (len(market.offerings), f"offerings of {len(renting)} providers"),
        (len(market.token_prices), f"token prices of {len(selling_tokens)} providers"),
        (len(market.measurements), "measurements"),
    ):
        assert f"{count:,} {what}" in README


def test_every_billing_that_a_licensed_source_states_is_there(market: Catalog) -> None:
    billings = Counter(offering.billing for offering in market.offerings)
    assert {*billings} == {"dedicated", "autoscaling", "spot", "reserved_1y"}
    assert "`reserved_3y` has no rows" in README


@pytest.mark.parametrize("name", shipped_catalogs())
def test_every_row_has_a_source_and_a_day(name: str) -> None:
    catalog = load_catalog(name)
    assert catalog.made_on is not None
    assert not catalog.notes
    for row in rows(catalog):
        assert row.source.strip()
        assert date(2023, 1, 1) <= row.as_of <= catalog.made_on
        assert not row.override


def test_every_source_is_named_with_its_licence(market: Catalog) -> None:
    for row in (*market.offerings, *market.token_prices, *market.measurements):
        repository = row.source.split("@")[0].split(" ")[0]
        assert repository in README, row.source


def test_keys_are_unique_and_ids_readable(market: Catalog) -> None:
    keys = [row.key for row in (*market.offerings, *market.token_prices)]
    assert len({*keys}) == len(keys)
    assert len({row.key for row in market.measurements}) == len(market.measurements)
    known = {offering.id for offering in market.offerings}
    assert {
        "aws/p5.48xlarge/us-east-1",
        "azure/standard_nd96isr_h100_v5/eastus",
        "runpod/h200-141gb-sxm/global",
    } <= known


def test_the_three_large_clouds_have_all_their_regions(market: Catalog) -> None:
    regions: dict[str, set[str]] = {}
    for offering in market.offerings:
        regions.setdefault(offering.provider, set()).add(offering.region.split(".")[0])
    assert len(regions["azure"]) == 49
    assert len(regions["gcp"]) == 29
    assert len(regions["aws"]) > 60


def test_spot_is_never_dearer_than_the_same_offering_on_demand(market: Catalog) -> None:
    on_demand = {o.id: o.usd_per_hour for o in market.offerings if o.billing == "dedicated"}
    for offering in market.offerings:
        if offering.billing in ("spot", "reserved_1y") and offering.id in on_demand:
            assert offering.usd_per_hour <= 1.01 * on_demand[offering.id], offering.key


def test_a_quote_for_one_gpu_says_that_the_count_is_assumed(market: Catalog) -> None:
    assumed = [offering for offering in market.offerings if offering.count_assumed]
    assert {offering.gpus_per_unit for offering in assumed} == {1}
    assert f"({len(assumed)} rows)" in README
    assert f"({sum(o.price_acknowledged for o in market.offerings)} rows)" in README


def test_the_price_of_a_marketplace_says_that_it_is_the_cheapest_offer(market: Catalog) -> None:
    live = [o for o in market.offerings if o.provider in ("akash", "spheron", "vast-ai")]
    assert len(live) > 30
    for offering in live:
        assert "marketplace, cheapest live offer" in offering.price_note, offering.key


def test_what_is_sold_as_a_node_has_the_price_of_a_node(market: Catalog) -> None:
    """The source states $0.848 for one GPU of a machine of eight: 8 x 0.848 = 6.784."""
    (node,) = (o for o in market.offerings if o.id == "vultr/l40s-48gb-bare-metal/global")
    assert (node.gpus_per_unit, node.usd_per_hour, node.count_assumed) == (8, 6.784, False)
    assert node.price_note == "sold as 8 GPUs, the source states the price of one"


def test_cached_tokens_cost_no_more_than_new_ones(market: Catalog) -> None:
    for price in market.token_prices:
        assert price.usd_per_m_input_tokens > 0
        assert (price.usd_per_m_cached_tokens or 0) <= price.usd_per_m_input_tokens


def test_kv_bytes_follow_from_the_architecture(market: Catalog) -> None:
    # 2 × layers × KV heads × head size × 2 bytes, and the latent of MLA (512 + 64) × 61 × 2.
    kib = {name: market.llms[name].kv_bytes_per_token_bf16 / 1024 for name in market.llms}
    assert kib["llama-3.1-8b"] == 128
    assert kib["llama-3.3-70b"] == kib["llama-3.1-70b"] == 320
    assert kib["qwen3-32b"] == 256
    assert kib["qwen3-235b-a22b"] == 188
    assert kib["gpt-oss-120b"] == 36
    assert kib["deepseek-r1"] == 68.625
    for llm in market.llms.values():
        plain = llm.attention in ("GQA", "MHA") and llm.kv_heads and llm.head_dim
        if plain and not llm.windowed_layers:
            layers = llm.full_attention_layers
            assert llm.kv_bytes_per_token_bf16 == 4 * layers * llm.kv_heads * llm.head_dim


def test_llama_3_3_70b_has_the_shape_and_the_measurements_of_3_1(market: Catalog) -> None:
    llm = market.llm("llama-3.3-70b")
    assert llm is not None
    assert llm.parameters_b == market.llms["llama-3.1-70b"].parameters_b
    measured = market.measurements_by_llm["llama-3.3-70b"]
    assert measured == market.measurements_by_llm["llama-3.1-70b"]
    assert {row.llm for row in measured} == {"llama-3.1-70b", "llama-3.3-70b", "llama-3-70b"}
    assert {price.llm for price in market.token_prices} >= {"llama-3.1-70b", "llama-3.3-70b"}


def test_a_bare_h100_is_ambiguous_and_hugging_face_names_are_not(market: Catalog) -> None:
    assert market.gpus_named("h100") == ("h100-80gb-pcie", "h100-80gb-sxm", "h100-94gb-nvl")
    assert market.gpus_named("a100 sxm") == ("a100-40gb-sxm", "a100-80gb-sxm")
    assert all(gpu in market.gpus for gpus in market.gpu_aliases.values() for gpu in gpus)
    names = [llm.hf_id for llm in market.llms.values() if llm.hf_id]
    assert len({*names}) == len(names) == 94


def test_measurements_are_plausible_and_latencies_of_closed_loops(market: Catalog) -> None:
    for row in market.measurements:
        assert row.regime in REGIMES
        assert row.tensor_parallel <= 8
        bound = most_tokens_per_second(row, market)
        assert bound is None or row.output_tokens_per_second <= 1.1 * bound[0]
        if row.regime != "fixed_concurrency":
            assert (row.ttft_s, row.tpot_s) == (None, None)
        elif row.tpot_s:
            assert row.concurrency
            assert row.output_tokens_per_second * row.tpot_s <= 1.25 * row.concurrency


def test_popular_pairs_are_measured(market: Catalog) -> None:
    pairs = {(llm, row.gpu) for llm, rows in market.measurements_by_llm.items() for row in rows}
    for llm in ("llama-3.1-8b", "llama-3.3-70b", "qwen3-32b", "gpt-oss-120b"):
        assert (llm, "h100-80gb-sxm") in pairs


def test_the_market_loads_in_half_a_second() -> None:
    seconds = []
    for _ in range(3):
        start = process_time()
        load_catalog("market")
        seconds.append(process_time() - start)
    assert min(seconds) < 0.5


@needs_data
def test_gpus_and_llms_are_those_of_the_collected_facts(market: Catalog) -> None:
    def read(name: str) -> list[dict[str, str]]:
        with (DATA / name).open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    for fact in read("gpus/gpus.csv"):
        gpu = market.gpus[fact["gpu"].lower()]
        if fact["memory_gb_nominal"]:  # drivers show up to 7 % less, B300 8 %
            assert gpu.memory_gib == pytest.approx(float(fact["memory_gb_nominal"]), rel=0.08)
        for ours, theirs in (
            ("memory_bandwidth_gb_per_s", "mem_bw_gb_s"),
            ("bf16_tflops", "bf16_tflops_dense"),
            ("fp8_tflops", "fp8_tflops_dense"),
        ):
            if fact[theirs]:
                assert getattr(gpu, ours) == pytest.approx(float(fact[theirs]), rel=0.025)
    for fact in read("llms/llms.csv"):
        llm = market.llms[fact["model"]]
        index_keys = float(fact["kv_indexer_bytes_per_token_1B"] or 0) * 132 / 128  # with a scale
        expected = float(fact["kv_bytes_per_token_bf16"]) + index_keys
        assert llm.kv_bytes_per_token_bf16 == pytest.approx(expected, abs=1)
        assert llm.layers == int(fact["layers"])


@needs_data
def test_endless_queues_are_taken_slow_or_fast(market: Catalog) -> None:
    """With only the best replica of a GPU its rows would stand beside estimates of another."""
    taken = {
        (row.llm, row.gpu, row.precision, row.tensor_parallel, row.input_tokens, row.output_tokens)
        for row in market.measurements
        if row.regime == "offline_max"
    }
    with (DATA / "throughput/measured_throughput.csv").open(newline="", encoding="utf-8") as rows:
        stated = [
            row
            for row in csv.DictReader(rows)
            if row["set"] in ("trtllm_v0.17", "trtllm_devguide")
            and re.fullmatch(r"TP\d+(,PP1)?", row["parallelism"])
            and (row["quality"], "label" in row["precision"]) == ("ok", False)
        ]
    assert len(stated) > 300
    for row in stated:
        precision = row["precision"]
        if precision == "fp4":
            precision = "mxfp4" if "gpt-oss" in row["model"] else "nvfp4"
        replica = row["model"], row["gpu"].lower(), precision, int(row["parallelism"][2])
        assert (*replica, float(row["input_tokens"]), float(row["output_tokens"])) in taken


def test_every_gpu_has_what_an_estimate_needs(market: Catalog) -> None:
    for gpu in market.gpus.values():
        assert gpu.memory_gib, gpu.id
        assert gpu.memory_bandwidth_gb_per_s, gpu.id
        assert gpu.bf16_tflops, gpu.id


def test_cards_of_24_gb_have_what_their_driver_shows(market: Catalog) -> None:
    shown = {name: market.gpus[name].memory_gib for name in ("a10g-24gb", "l4-24gb")}
    assert shown == pytest.approx({"a10g-24gb": 23028 / 1024, "l4-24gb": 23034 / 1024}, abs=1e-3)


@needs_data
@pytest.mark.parametrize("script", ["regenerate_llms.py"])
def test_the_llms_are_as_their_script_writes_them(script: str) -> None:
    command = [sys.executable, str(ROOT / "tests" / "scripts" / script), "--check"]
    run = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert run.returncode == 0


# --- inference-atlas --------------------------------------------------------------------------


def test_the_reference_catalog_has_the_prices_and_rates_of_its_table(atlas: Catalog) -> None:
    prices = {(o.provider, o.gpu): (o.usd_per_hour, o.billing) for o in atlas.offerings}
    assert prices == {
        ("fireworks", "a100-80gb"): (2.90, "autoscaling"),
        ("fireworks", "h100-80gb"): (4.00, "autoscaling"),
        ("fireworks", "h200-141gb"): (6.00, "autoscaling"),
        ("fireworks", "b200-180gb"): (9.00, "autoscaling"),
        ("replicate", "a100-80gb"): (10.08, "dedicated"),
        ("modal", "a100-40gb"): (3.67, "dedicated"),
        ("runpod", "a100-80gb"): (1.89, "dedicated"),
        ("vast_ai", "a100-80gb"): (1.75, "dedicated"),
    }
    rates = {(m.llm, m.gpu): m.output_tokens_per_second for m in atlas.measurements}
    assert rates["llama_70b", "h100-80gb"] == 15_000
    assert rates["mistral_7b", "b200-180gb"] == 65_000
    assert rates["*", "a100-40gb"] == 6_000
    assert ("llama_405b", "a100-40gb") not in rates
    assert len(rates) == 5 * 6 - 1
    assert {m.basis for m in atlas.measurements} == {"raw"}


def test_the_reference_catalog_has_recommended_memory_and_one_token_price(atlas: Catalog) -> None:
    assert {name: llm.recommended_memory_gib for name, llm in atlas.llms.items()} == {
        "llama_8b": 16,
        "llama_70b": 80,
        "llama_405b": 400,
        "mixtral_8x7b": 90,
        "mistral_7b": 16,
    }
    (price,) = atlas.token_prices
    assert (price.provider, price.llm) == ("together", "llama_70b")
    assert price.usd_per_m_input_tokens == price.usd_per_m_output_tokens == 0.88


# --- Where they are found ---------------------------------------------------------------------

ASK = """
import json
from milp_planner.inputs.catalog.files import load_catalog, shipped_catalogs
print(json.dumps([shipped_catalogs(), load_catalog().sha256, load_catalog.__code__.co_filename]))
"""


def pack(archive: Path) -> None:
    """The package with its catalogs inside, as a wheel holds them."""
    with zipfile.ZipFile(archive, "w") as target:
        for file in (ROOT / "milp_planner").rglob("*.py"):
            target.write(file, file.relative_to(ROOT))
        for file in (ROOT / "catalogs").rglob("*.csv"):
            target.write(file, Path("milp_planner/_catalogs") / file.relative_to(ROOT / "catalogs"))


@pytest.mark.parametrize("form", ["zip", "wheel"])
def test_a_packed_planner_finds_the_same_catalog_from_elsewhere(
    tmp_path: Path, market: Catalog, form: str
) -> None:
    place = tmp_path / "milp_planner.zip"
    pack(place)
    if form == "wheel":
        zipfile.ZipFile(place).extractall(tmp_path / "site")
        place = tmp_path / "site"
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(place)!r})\n{ASK}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    names, sha256, file = json.loads(run.stdout)
    assert (names, sha256) == (["inference-atlas", "market"], market.sha256)
    assert file.startswith(str(place))


# --- catalogs/README.md -----------------------------------------------------------------------


def test_the_readme_describes_every_column() -> None:
    for name, table in TABLES.items():
        part = re.split(r"\*\*\w+\.csv\*\*|\n## ", README.split(f"**{name}**")[1])[0]
        for column in {*table.columns} - {"as_of", "source", "note"}:
            assert re.search(rf"\b{column}\b", part), (name, column)


def test_the_examples_of_the_readme_can_be_loaded(tmp_path: Path) -> None:
    for example in re.findall(r"```csv\n(.*?)```", README, re.DOTALL):
        header = {*example.splitlines()[0].split(",")}
        (name,) = [
            n for n, table in TABLES.items() if {*table.required} <= header <= {*table.columns}
        ]
        (tmp_path / name).write_text(example, encoding="utf-8")
    catalog = load_catalog(tmp_path, as_of=date(2026, 9, 1))
    assert catalog.overrides == 6
    assert catalog.llms["my-tuned-70b"].layers == 80
    assert catalog.gpus_named("x1") == ("x1-64gb-pcie",)
