"""No column is loaded that nothing reads: every field of every record of a catalog has a reader.

A field is read where some module beyond the loading of catalogs names it, as an attribute or as a
text. Names that many things share prove little; those that one thing has prove all.
"""

from __future__ import annotations

import ast
import csv
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

import milp_planner
from milp_planner.inputs.catalog.records import Gpu, Llm, Measurement, Offering, TokenPrice
from milp_planner.inputs.catalog.tensor_groups import GROUPS

GROUP_COLUMNS = {f"{group}_b" for group in GROUPS}
"""Read by the names of the groups: `inputs/catalog/tensor_groups.py`."""

PACKAGE = Path(milp_planner.__file__).parent
LOADING = PACKAGE / "inputs" / "catalog"
FORMULAS = ("traffic", "serving", "candidates", "study", "plans", "milp", "solving", "questions")

READ_ON_LOADING = {
    "full_attention_layers": "layer_parts.py",
    "price_acknowledged": "../doubtful_prices.py",
    "metro": "identity/sellers.py",
    "other_ids": "records.py",
    "also_quoted": "merging.py",
}
"""Fields whose reader lies beside the loading of catalogs, and the file that it is."""

RECORDS = {
    "gpus": Gpu,
    "llms": Llm,
    "offerings": Offering,
    "token_prices": TokenPrice,
    "measurements": Measurement,
}


def names_in(path: Path) -> set[str]:
    """Attributes and texts in a module."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return attributes | {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@cache
def read_by_formulas() -> frozenset[str]:
    modules = (path for wing in FORMULAS for path in (PACKAGE / wing).rglob("*.py"))
    return frozenset(name for path in modules for name in names_in(path))


@pytest.mark.parametrize("table", RECORDS)
def test_every_field_of_a_record_has_a_reader(table: str) -> None:
    unread = {
        name
        for name in RECORDS[table].model_fields
        if name not in read_by_formulas() | READ_ON_LOADING.keys() | GROUP_COLUMNS
    }
    assert unread == set()


@pytest.mark.parametrize("name", READ_ON_LOADING)
def test_what_is_read_beside_the_loading_is_read_there(name: str) -> None:
    assert name in names_in(LOADING / READ_ON_LOADING[name])


@pytest.mark.parametrize("table", RECORDS)
def test_every_column_that_is_shipped_is_a_field(table: str) -> None:
    root = Path(str(files("milp_planner"))).parent / "catalogs"
    folders = [root] if root.is_dir() else [Path(str(files("milp_planner") / "_catalogs"))]
    for path in (p for folder in folders for p in folder.glob(f"*/{table}.csv")):
        with open(path, encoding="utf-8", newline="") as file:
            columns = next(csv.reader(file))
        assert {*columns} <= {*RECORDS[table].model_fields}, path


def test_a_field_without_a_reader_is_seen() -> None:
    assert "bf16_tflops" in read_by_formulas()
    assert "bf16_petaflops" not in read_by_formulas()
