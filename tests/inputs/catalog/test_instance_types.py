"""What a provider calls a unit, to the letter, from the row to the plan's document."""

from __future__ import annotations

from pathlib import Path

from milp_planner import Catalog, load_catalog, solve
from milp_planner.inputs.catalog.writing import slug
from milp_planner.plans.document import plan_dict
from milp_planner.plans.records import Plan
from tests.support.builders import catalog, offering, problem, raw
from tests.support.catalog_files import TODAY, WHOLE, write

HEAD = (
    "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,instance_type,vcpus,"
    "host_memory_gib,count_assumed,as_of,source"
)


def quoted(folder: Path, *lines: str) -> Catalog:
    offerings = "\n".join([HEAD, *lines, ""])
    write(folder / "own", WHOLE | {"offerings.csv": offerings})
    return load_catalog("own", base=folder, as_of=TODAY)


def test_a_shipped_instance_type_is_the_name_of_its_row_in_its_own_letters() -> None:
    named = [o for o in load_catalog().offerings if o.instance_type]
    assert len(named) > 2500
    assert [o.id for o in named if slug(o.instance_type) not in "/".join(o.ids)] == []
    clouds = [o for o in load_catalog().offerings if o.provider in ("aws", "azure", "gcp")]
    assert all(o.instance_type and o.vcpus and o.host_memory_gib for o in clouds)


def test_a_newer_price_without_a_name_keeps_the_name_that_another_quote_has(tmp_path: Path) -> None:
    (unit,) = quoted(
        tmp_path,
        "acme,1h100.80s,fin-1,dedicated,h100-80gb-sxm,1,3,1H100.80S,30,120,,2025-12-02,a",
        "acme,h100-80gb-sxm,fin-1,dedicated,h100-80gb-sxm,1,2,,,,,2026-05-24,b",
    ).offerings
    assert (unit.usd_per_hour, unit.instance_type, unit.vcpus, unit.host_memory_gib) == (
        *(2, "1H100.80S"),
        *(30, 120),
    )


def test_a_quote_for_one_gpu_does_not_name_the_units_of_eight(tmp_path: Path) -> None:
    # The newest quote is of one GPU and leaves the size open: it prices both sizes, and names one.
    units = quoted(
        tmp_path,
        "acme,one,fin-1,dedicated,h100-80gb-sxm,1,3,,,,,2025-12-02,a",
        "acme,eight,fin-1,dedicated,h100-80gb-sxm,8,24,,,,,2025-12-02,a",
        "acme,new,fin-1,dedicated,h100-80gb-sxm,1,2,new-1x,26,200,true,2026-05-24,b",
    ).offerings
    assert {(o.gpus_per_unit, o.usd_per_hour, o.instance_type, o.vcpus) for o in units} == {
        (1, 2, "new-1x", 26),
        (8, 16, "", None),
    }


def test_a_plan_carries_the_name_to_whoever_deploys_it() -> None:
    unit = offering("acme", "a", 1.0).model_copy(update={"instance_type": "Acme_A1_v5"})
    plan = solve(problem(1), catalog([unit], [raw("a", 10)]))
    document = plan_dict(plan)
    (bought,) = document["purchases"]
    assert bought["instance_type"] == "Acme_A1_v5"
    (again,) = Plan.from_dict(document).purchases
    assert getattr(again.candidate.offering, "instance_type", None) == "Acme_A1_v5"
