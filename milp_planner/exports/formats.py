"""The formats by name, and the export of a plan. To add one, write a kind and name it here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from milp_planner.errors import argument_error, did_you_mean, input_error, printable
from milp_planner.exports.folders import INDEX, check_folder, list_entry, write_folder
from milp_planner.exports.kinds.aibrix import aibrix_files
from milp_planner.exports.kinds.autoscalers import (
    dynamo_files,
    hpa_files,
    karpenter_files,
    keda_files,
)
from milp_planner.exports.kinds.commands import sglang_files, vllm_files
from milp_planner.exports.kinds.dstack import dstack_files
from milp_planner.exports.kinds.focus import focus_files
from milp_planner.exports.kinds.helm import llm_d_files, production_stack_files
from milp_planner.exports.kinds.kubernetes import kubernetes_files
from milp_planner.exports.kinds.routing import http_route_files, litellm_files
from milp_planner.exports.kinds.skyserve import skyserve_files
from milp_planner.exports.parts.pools import apis_of, plan_lines, pool_lines, pools_of
from milp_planner.exports.parts.whole_units import check_no_gpu_sets, check_same_split
from milp_planner.exports.parts.words import Words
from milp_planner.lazily import dataclass
from milp_planner.plans.plain import files_of
from milp_planner.plans.records import Exported, Plan
from milp_planner.units import usd_shown


@dataclass(frozen=True)
class Format:
    """One kind of files."""

    write: Callable[[Plan, Words], dict[str, str]]
    holds: str
    """What it holds, in words."""

    needs_pools: bool = True
    """False where a plan that rents nothing has something to tell, too."""

    says_gpu_sets: bool = False
    """True where LLMs that share a GPU can be told."""


FORMATS: Mapping[str, Format] = {
    "vllm": Format(vllm_files, "vLLM command lines", says_gpu_sets=True),
    "sglang": Format(sglang_files, "SGLang command lines"),
    "kubernetes": Format(
        kubernetes_files, "Deployments or LeaderWorkerSets, Services and autoscalers"
    ),
    "llm-d": Format(llm_d_files, "values for llm-d's modelservice chart"),
    "production-stack": Format(production_stack_files, "values for vLLM's production-stack chart"),
    "aibrix": Format(aibrix_files, "Deployments, Services and PodAutoscalers for AIBrix"),
    "skyserve": Format(skyserve_files, "SkyPilot SkyServe services"),
    "dstack": Format(dstack_files, "dstack fleets and services"),
    "keda": Format(keda_files, "KEDA ScaledObjects, by load and by the plan's hours"),
    "hpa": Format(hpa_files, "HorizontalPodAutoscalers"),
    "karpenter": Format(karpenter_files, "Karpenter NodePools"),
    "dynamo": Format(dynamo_files, "configurations of Dynamo's planner"),
    "httproute": Format(
        http_route_files, "Gateway API HTTPRoutes", needs_pools=False, says_gpu_sets=True
    ),
    "litellm": Format(litellm_files, "LiteLLM's model_list", needs_pools=False, says_gpu_sets=True),
    "focus": Format(
        focus_files,
        "FOCUS cost rows for the month ahead",
        needs_pools=False,
        says_gpu_sets=True,
    ),
}


OUT_OF_SCOPE = {
    "terraform": ": it describes accounts, networks and images, of which a plan knows nothing",
}
"""What is asked for and is not there, and why."""


def export_plan(
    plan: Plan, format: str, folder: str | Path, *, overwrite: bool = False
) -> Exported:
    """Write the files of a format into a folder.

    Raises ArgumentError for a format that there is not, InputError for a plan that the format
    cannot say, PlannerError for a folder that cannot be written. Nothing is written then.
    """
    if format not in FORMATS:
        why = OUT_OF_SCOPE.get(str(format)) or did_you_mean(str(format), FORMATS)
        raise argument_error(
            f"there is no format {format!r}{why}",
            path="format",
            hint=f"one of {', '.join(FORMATS)}",
        )
    target = Path(folder)
    check_folder(target, overwrite=overwrite)
    words = Words()
    files = _checked_files(plan, format, words)
    replace = words.used_in(files)
    listed = {**files, INDEX: "".join(_index(plan, format, files, replace))}
    write_folder(target, listed, overwrite=overwrite)
    return Exported(tuple(target / name for name in listed), replace)


def _checked_files(plan: Plan, format: str, words: Words) -> dict[str, str]:
    if not plan.status.has_plan:
        raise input_error(
            f"there is no fleet in it to export: it is {plan.status.value}",
            path=f"plan {plan.name}",
        )
    if FORMATS[format].needs_pools and not pools_of(plan):
        raise input_error(
            "nothing is rented, APIs serve all of it",
            path=f"plan {plan.name}",
            hint="milp-planner export litellm says how requests reach them",
        )
    if not FORMATS[format].says_gpu_sets:
        check_no_gpu_sets(pools_of(plan), f"{FORMATS[format].holds} give each replica whole GPUs")
    if format != "focus":
        check_same_split(pools_of(plan))
    return FORMATS[format].write(plan, words)


def _index(
    plan: Plan, format: str, files: Mapping[str, str], replace: Mapping[str, str]
) -> Iterator[str]:
    """The list of the files, which a later export reads, too, and what is to be replaced."""
    yield f"# {FORMATS[format].holds}\n\n"
    yield f"Written by `milp-planner export {format}`.\n\n"
    yield from (f"{printable(line)}\n" for line in plan_lines(plan))
    for pool in pools_of(plan):
        yield f"\n{pool.name}:\n"
        yield from (f"{printable(line)}\n" for line in pool_lines(pool))
    for p in apis_of(plan):
        k = p.candidate
        yield (
            f"\nPer token: {printable(k.offering.id)} serves {p.requests_share:.3g} of "
            f"{printable(k.workload)}, {usd_shown(p.cash_usd_per_month, 2)} a month.\n"
        )
    yield "\n## Files\n\n"
    yield from map(list_entry, sorted(files))
    if replace:
        yield "\n## To replace\n\n"
        yield from (f"* `{word}`: {printable(said)}\n" for word, said in replace.items())


files_of.register(Plan, export_plan)
