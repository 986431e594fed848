"""What a benchmark file names, held against what it is said to be: LLM, GPU, engine, version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from milp_planner.errors import Fault
from milp_planner.inputs.catalog.records import Catalog

if TYPE_CHECKING:
    from milp_planner.inputs.imports.benchmarks import Found


def ran_names(f: Found, catalog: Catalog) -> dict[str, str]:
    """What the tool says that ran, where the catalog knows it: LLM, GPU, engine version."""
    found = {}
    llm = catalog.llm(f.names.get("llm", ""))
    if llm is not None:
        found["llm"] = llm.id
    gpus = catalog.gpus_named(f.names["gpu"]) if "gpu" in f.names else ()
    if len(gpus) == 1:
        found["gpu"] = gpus[0]
    if "engine_version" in f.names:
        found["engine_version"] = f.names["engine_version"]
    return found


def clashes(f: Found, catalog: Catalog, asked: Mapping[str, object]) -> Iterator[Fault]:
    """A fault for whatever the file says otherwise than the command line."""
    ran = ran_names(f, catalog)
    wanted = catalog.llm(str(asked.get("llm") or ""))
    if wanted is not None and "llm" in ran and not _same_llm(catalog, ran["llm"], wanted.id):
        yield f.fault(
            "llm",
            f"the run is of {f.names['llm']} ({ran['llm']}), not of {wanted.id}",
            "leave --llm out, or give the file of that LLM",
        )
    gpus = catalog.gpus_named(str(asked["gpu"])) if asked.get("gpu") else ()
    may_be = catalog.gpus_named(f.names["gpu"]) if "gpu" in f.names else ()
    if gpus and may_be and not {*gpus} & {*may_be}:
        yield f.fault("gpu", f"the run is on {f.names['gpu']}, not on {gpus[0]}")
    for key, own in (("engine", f.row.engine), ("engine_version", ran.get("engine_version"))):
        said = asked.get(key)
        if own and said and own != said:
            words = key.replace("_", " ")
            yield f.fault(key, f"the run is of {words} {own}, not of {said}")


def _same_llm(catalog: Catalog, one: str, other: str) -> bool:
    """Whether two ids are one LLM, or of one shape: measurements of either serve for both."""
    shapes = {catalog.llms[name].same_shape_as or name for name in (one, other)}
    return len(shapes) == 1


def unknown_names(f: Found, catalog: Catalog, point: str) -> Iterator[str]:
    """What the tool names and the catalog does not know: it is taken for what was asked."""
    llm = f.names.get("llm")
    if llm and catalog.llm(llm) is None:
        yield f"{point}: the file names {llm}, which the catalog does not know"
