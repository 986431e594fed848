"""Prices in the formats that others publish become an overlay; two catalogs are compared."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from milp_planner import Catalog, InputError, load_catalog
from milp_planner.inputs.catalog.diff import catalog_diff
from milp_planner.inputs.imports.gpuhunt import import_gpuhunt
from milp_planner.inputs.imports.litellm import import_litellm
from milp_planner.inputs.imports.overlay import provider_id
from milp_planner.inputs.imports.skypilot import import_skypilot
from tests.support.builders import catalog, offering, raw, token_price

DAY = date(2026, 3, 1)
SOURCED = "as_of,source"
GPUS = """id,vendor,memory_gib,as_of,source
h100-80gb-sxm,nvidia,79.6,2026-01-01,test
h100-80gb-pcie,nvidia,79.6,2026-01-01,test
h100-94gb-nvl,nvidia,93.6,2026-01-01,test
a100-40gb-sxm,nvidia,40,2026-01-01,test
a100-80gb-sxm,nvidia,80,2026-01-01,test
l4-24gb,nvidia,22.5,2026-01-01,test
"""
ALIASES = """alias,gpu
h100-pcie,h100-80gb-pcie
h100-nvl,h100-94gb-nvl
"""
OFFERINGS = """provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,source
aws,p5.48xlarge,us-east-1,dedicated,h100-80gb-sxm,8,55.04,2026-01-01,test
bolt,l4,eu,dedicated,l4-24gb,1,0.70,2026-01-01,test
cove,l4,eu,dedicated,l4-24gb,1,0.75,2026-01-01,test
"""
LLMS = """id,hf_id,parameters_b,active_parameters_b,as_of,source
llama-3.3-70b,,70.6,70.6,2026-01-01,test
llama-3.1-8b,meta-llama/Llama-3.1-8B-Instruct,8,8,2026-01-01,test
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A catalog of six GPUs, three offerings and two LLMs that stands alone."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "catalog.csv").write_text("field,value\nname,base\nextends,none\n")
    (folder / "gpus.csv").write_text(GPUS)
    (folder / "gpu_aliases.csv").write_text(ALIASES)
    (folder / "offerings.csv").write_text(OFFERINGS)
    (folder / "llms.csv").write_text(LLMS)
    return folder


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def prices(loaded: Catalog) -> dict[str, float]:
    """USD per hour of the imported rows."""
    return {
        f"{o.id} {o.billing} {o.gpus_per_unit} x {o.gpu}": o.usd_per_hour
        for o in loaded.offerings
        if o.override
    }


# --- SkyPilot ---------------------------------------------------------------------------------

SKYPILOT = """\
InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,\
AvailabilityZone
c5.large,,,2.0,4.0,,0.085,0.03,us-east-1,use1-az1
p5.48xlarge,H100,8.0,192.0,2048.0,"{'Gpus': [{'Name': 'H100', 'Count': 8.0, 'MemoryInfo': \
{'SizeInMiB': 81920}}], 'TotalGpuMemoryInMiB': 655360}",50.0,20.0,us-east-1,use1-az1
p5.48xlarge,H100,8.0,192.0,2048.0,"{'Gpus': [{'MemoryInfo': {'SizeInMiB': 81920}}]}",50.0,18.5,\
us-east-1,use1-az2
x1.mystery,H100,1.0,8.0,64.0,"{'Gpus': [{'MemoryInfo': {'SizeInMiB': 81920}}]}",4.0,,us-east-1,
nc94.nvl,H100,1.0,8.0,64.0,"{'Gpus': [{'MemoryInfo': {'SizeInMiB': 96256}}]}",6.98,,eastus,
1x_A100-80GB-SXM,A100-80GB-SXM,1.0,16.0,80.0,A100-80GB-SXM,1.89,,CA,CA-MTL-1
1x_A100-80GB-SXM,A100-80GB-SXM,1.0,16.0,80.0,A100-80GB-SXM,1.79,,CA,CA-MTL-2
g6.xlarge,L4,1.0,4.0,16.0,,0.8,0.8,us-east-1,use1-az1
g6.half,L4,0.5,2.0,8.0,,0.4,,us-east-1,
,L4,1.0,,,,0.56,0.28,us-central1,us-central1-a
k80.old,K80,1.0,4.0,61.0,,0.9,,us-east-1,
g6.free,L4,1.0,4.0,16.0,,,,us-east-1,
g6.node,L4,1.0,4.0,16.0,,39.0,,us-east-1,
"""


def test_skypilot_instances_become_offerings(tmp_path: Path, base: Path) -> None:
    file = written(tmp_path / "aws" / "vms.csv", SKYPILOT)
    done = import_skypilot([file], tmp_path / "new", base=base, as_of=DAY, source="test export")
    loaded = load_catalog(tmp_path / "new")
    assert prices(loaded) == {
        "aws/p5.48xlarge/us-east-1 dedicated 8 x h100-80gb-sxm": 50.0,
        "aws/p5.48xlarge/us-east-1.use1-az1 spot 8 x h100-80gb-sxm": 20.0,
        "aws/p5.48xlarge/us-east-1.use1-az2 spot 8 x h100-80gb-sxm": 18.5,
        "aws/nc94.nvl/eastus dedicated 1 x h100-94gb-nvl": 6.98,
        "aws/1x_a100-80gb-sxm/ca dedicated 1 x a100-80gb-sxm": 1.79,
        "aws/g6.xlarge/us-east-1 dedicated 1 x l4-24gb": 0.8,
        "aws/g6.xlarge/us-east-1.use1-az1 spot 1 x l4-24gb": 0.8,
    }
    imported = [o for o in loaded.offerings if o.override]
    assert {(o.as_of, o.source) for o in imported} == {(DAY, "test export")}
    assert len(loaded.offerings) == 9  # the p5.48xlarge replaced the base's, its two l4 stayed
    assert done.rows == 7
    assert done.file == "offerings.csv"


def test_what_skypilot_rows_are_left_out_is_said_with_the_reason(
    tmp_path: Path, base: Path
) -> None:
    file = written(tmp_path / "aws" / "vms.csv", SKYPILOT)
    done = import_skypilot([file], tmp_path / "new", base=base, as_of=DAY)
    assert done.skipped == {
        "GPU not in the catalog": 1,
        "form factor of the GPU not stated": 1,
        "no GPU": 1,
        "no price": 1,
        "part of a GPU, or a count that is not whole": 1,
        "price of the accelerator alone, without its host": 1,
        "refused by the catalog's checks": 1,
        "same offering twice, at the same price": 1,
        "same offering twice: the lower price taken": 1,
    }
    assert done.examples["form factor of the GPU not stated"].endswith("5 x1.mystery: H100")
    assert done.examples["refused by the catalog's checks"].startswith(
        "usd_per_hour: $39.00 per GPU is"
    )
    lines = done.lines()
    assert lines[0] == f"{tmp_path / 'new'}: 7 rows in offerings.csv, 9 left out"
    assert lines[1].startswith("  1  GPU not in the catalog (for example ")


def test_a_provider_may_be_named_and_is_known_by_our_name(tmp_path: Path, base: Path) -> None:
    row = SKYPILOT.splitlines()[0] + "\nbox,L4,1,4,16,,0.8,,eu,\n"
    file = written(tmp_path / "prices.csv", row)
    import_skypilot([file], tmp_path / "new", base=base, provider="lambdalabs", as_of=DAY)
    assert list(prices(load_catalog(tmp_path / "new"))) == ["lambda/box/eu dedicated 1 x l4-24gb"]
    assert provider_id("together_ai", load_catalog().sellers) == "together"
    assert provider_id("Acme Cloud", load_catalog().sellers) == "acme-cloud"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column 'InstanceType'"),
        ("a,b\n1,2\n", "has no column 'InstanceType'"),
        (SKYPILOT.splitlines()[0], "nothing can be used: the files hold no rows"),
        (
            SKYPILOT.splitlines()[0] + "\nbox,K80,1,4,16,,0.8,,eu,\n",
            "nothing can be used: 1 × GPU not in the catalog",
        ),
    ],
)
def test_a_file_without_use_is_an_error_and_nothing_is_written(
    tmp_path: Path, base: Path, text: str, message: str
) -> None:
    file = written(tmp_path / "aws" / "vms.csv", text)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(InputError) as error:
        import_skypilot([file], tmp_path / "new", base=base)
    assert message in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_import_never_overwrites(tmp_path: Path, base: Path) -> None:
    file = written(tmp_path / "aws" / "vms.csv", SKYPILOT)
    with pytest.raises(InputError, match="base: exists already; give another name"):
        import_skypilot([file], base, base=base)
    assert (base / "gpus.csv").read_text() == GPUS


def test_without_a_base_the_overlay_rests_on_the_market(tmp_path: Path) -> None:
    row = SKYPILOT.splitlines()[0] + "\np5.48xlarge,H100,8,192,2048,,50.0,,us-east-1,\n"
    file = written(tmp_path / "aws" / "vms.csv", row)
    import_skypilot([file], tmp_path / "new", as_of=DAY)
    assert list(prices(load_catalog(tmp_path / "new"))) == [
        "aws/p5.48xlarge/us-east-1 dedicated 8 x h100-80gb-sxm"
    ]


# --- gpuhunt ----------------------------------------------------------------------------------

GPUHUNT = """\
instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size,gpu_vendor
gpu_1x_a10,us-1,0.75,30,200.0,1,A10,24.0,False,1400.0,nvidia
NVIDIA H100 PCIe,EU-1,2.39,16,188.0,1,H100,80.0,False,,nvidia
NVIDIA H100 80GB,EU-1,2.99,16,188.0,1,H100,80.0,False,,nvidia
h100-nvl,EU-1,2.79,16,188.0,1,H100NVL,94.0,False,,nvidia
l4-box,EU-1,0.43,12,50.0,1,L4,24.0,False,,nvidia
l4-box,EU-1,0.22,12,50.0,1,L4,24.0,True,,nvidia
l4-large,EU-1,0.6,12,50.0,1,L4,48.0,False,,nvidia
cpu-only,EU-1,0.1,4,8.0,0,,,False,,
no-price,EU-1,,12,50.0,1,L4,24.0,False,,nvidia
"""


def test_gpuhunt_instances_become_offerings(tmp_path: Path, base: Path) -> None:
    file = written(tmp_path / "runpod.csv", GPUHUNT)
    done = import_gpuhunt([file], tmp_path / "new", base=base, as_of=DAY)
    loaded = load_catalog(tmp_path / "new")
    assert prices(loaded) == {
        "runpod/nvidia-h100-pcie/eu-1 dedicated 1 x h100-80gb-pcie": 2.39,
        "runpod/h100-nvl/eu-1 dedicated 1 x h100-94gb-nvl": 2.79,
        "runpod/l4-box/eu-1 dedicated 1 x l4-24gb": 0.43,
        "runpod/l4-box/eu-1 spot 1 x l4-24gb": 0.22,
    }
    assert {o.source for o in loaded.offerings if o.override} == {"gpuhunt catalog, runpod.csv"}
    assert done.skipped == {
        "GPU not in the catalog": 1,
        "form factor of the GPU not stated": 1,
        "memory unlike that of the catalog's GPU": 1,
        "no GPU": 1,
        "no price": 1,
    }


# --- LiteLLM ----------------------------------------------------------------------------------

LITELLM = {
    "sample_spec": {
        "litellm_provider": "one of ...",
        "mode": "one of ...",
        "input_cost_per_token": 0,
    },
    "deepinfra/meta-llama/Llama-3.3-70B-Instruct": {
        "input_cost_per_token": 2.3e-07,
        "output_cost_per_token": 4e-07,
        "cache_read_input_token_cost": 1.2e-07,
        "litellm_provider": "deepinfra",
        "mode": "chat",
    },
    "deepinfra/meta-llama/Llama-3.3-70B-Instruct-Turbo": {
        "input_cost_per_token": 1.3e-07,
        "output_cost_per_token": 3.9e-07,
        "litellm_provider": "deepinfra",
        "mode": "chat",
    },
    "fireworks_ai/accounts/fireworks/models/llama-v3p1-8b-instruct": {
        "input_cost_per_token": 1e-07,
        "output_cost_per_token": 1e-07,
        "litellm_provider": "fireworks_ai",
        "mode": "chat",
    },
    "together_ai/meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo": {
        "input_cost_per_token": 1.8e-07,
        "output_cost_per_token": 1.8e-07,
        "litellm_provider": "together_ai",
        "deprecation_date": "2026-01-31",
        "mode": "chat",
    },
    "openrouter/meta-llama/llama-3.3-70b-instruct": {
        "input_cost_per_token": 1e-07,
        "output_cost_per_token": 2e-07,
        "litellm_provider": "openrouter",
        "mode": "chat",
    },
    "acme/llama-3.3-70b-free": {"litellm_provider": "acme", "mode": "chat"},
    "acme/llama-3.3-70b": {
        "input_cost_per_token": 0.0,
        "output_cost_per_token": 0.0,
        "litellm_provider": "acme",
        "mode": "chat",
    },
    "gpt-closed": {
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 2e-06,
        "litellm_provider": "openai",
        "mode": "chat",
    },
    "dall-e-2": {"litellm_provider": "openai", "mode": "image_generation"},
}


def test_litellm_prices_of_open_llms_become_token_prices(tmp_path: Path, base: Path) -> None:
    file = written(tmp_path / "prices.json", json.dumps(LITELLM))
    done = import_litellm([file], tmp_path / "new", base=base, as_of=DAY)
    loaded = load_catalog(tmp_path / "new")
    rows = {
        p.id: (p.usd_per_m_input_tokens, p.usd_per_m_output_tokens, p.note)
        for p in loaded.token_prices
    }
    assert rows == {
        "deepinfra/llama-3.3-70b/global": (
            0.13,
            0.39,
            "deepinfra/meta-llama/Llama-3.3-70B-Instruct-Turbo",
        ),
        "fireworks/llama-3.1-8b/global": (
            0.1,
            0.1,
            "fireworks_ai/accounts/fireworks/models/llama-v3p1-8b-instruct",
        ),
    }
    assert done.skipped == {
        "LLM not in the catalog": 2,
        "does not generate text": 1,
        "no longer sold": 1,
        "no price": 1,
        "routed through another provider": 1,
        "same offering twice: the lower price taken": 1,
    }
    earlier = import_litellm([file], tmp_path / "earlier", base=base, as_of=date(2026, 1, 30))
    assert earlier.rows == 3


def test_a_litellm_file_of_another_shape_is_an_input_error(tmp_path: Path, base: Path) -> None:
    for text, message in (
        ("[]", "expected one entry per LLM"),
        ("{", "not valid JSON"),
        ('{"a": {"mode": "chat"}}', "nothing can be used: 1 × provider not named"),
    ):
        file = written(tmp_path / "prices.json", text)
        with pytest.raises(InputError) as error:
            import_litellm([file], tmp_path / "new", base=base)
        assert message in str(error.value)


# --- Comparing --------------------------------------------------------------------------------


def test_a_diff_names_what_came_went_and_changed() -> None:
    before = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 1.5)],
        [raw("big", 10), raw("small", 3)],
        [token_price("cove", 1.0)],
    )
    after = catalog(
        [offering("acme", "big", 3.0), offering("dune", "small", 1.2, billing="spot")],
        [raw("big", 10), raw("small", 3)],
        [token_price("cove", 1.0, max_requests_per_minute=60)],
    )
    diff = catalog_diff(before, after)
    assert [row.key for row in diff.added] == ["dune/small/eu-1 spot"]
    assert [row.key for row in diff.removed] == ["bolt/small/eu-1 dedicated"]
    assert {row.key: dict(row.changes) for row in diff.changed} == {
        "acme/big/eu-1 dedicated": {"usd_per_hour": (4.0, 3.0)},
        "cove/tiny/global": {"max_requests_per_minute": (None, 60.0)},
    }
    assert diff.lines() == [
        "offerings: 1 added, 1 removed, 1 changed",
        "token_prices: 1 changed",
        "  ~ acme/big/eu-1 dedicated: usd_per_hour 4 -> 3 (-25.0 %)",
        "  - bolt/small/eu-1 dedicated: $1.5 per unit and hour",
        "  + dune/small/eu-1 spot: $1.2 per unit and hour",
        "  ~ cove/tiny/global: max_requests_per_minute unknown -> 60",
    ]


def test_a_yes_that_became_a_no_is_not_a_percentage() -> None:
    (big,) = catalog([offering("acme", "big", 4.0, count_assumed=True)], [raw("big", 10)]).offerings
    quoted = catalog([big], [raw("big", 10)])
    stated = catalog([big.model_copy(update={"count_assumed": False})], [raw("big", 10)])
    assert catalog_diff(quoted, stated).lines() == [
        "offerings: 1 changed",
        "  ~ acme/big/eu-1 dedicated: count_assumed yes -> no",
    ]


def test_a_refreshed_row_is_counted_but_not_listed() -> None:
    before = catalog([offering("acme", "big", 4.0)], [raw("big", 10)])
    (big,) = before.offerings
    newer = big.model_copy(update={"as_of": DAY, "override": True})
    after = catalog([newer], [raw("big", 10)])
    diff = catalog_diff(before, after)
    assert diff
    assert diff.changed[0].refreshed_only
    assert diff.lines() == ["offerings: 1 with another date or source only"]


def test_a_catalog_does_not_differ_from_itself() -> None:
    atlas = load_catalog("inference-atlas")
    diff = catalog_diff(atlas, load_catalog("inference-atlas"))
    assert not diff
    assert diff.lines() == ["the catalogs are the same"]


def test_an_import_can_be_compared_with_what_it_rests_on(tmp_path: Path, base: Path) -> None:
    file = written(tmp_path / "aws" / "vms.csv", SKYPILOT)
    import_skypilot([file], tmp_path / "new", base=base, as_of=DAY)
    diff = catalog_diff(load_catalog(base), load_catalog(tmp_path / "new"))
    assert len(diff.added) == 6
    assert diff.removed == ()
    (change,) = diff.changed
    assert change.changes["usd_per_hour"] == (55.04, 50.0)
