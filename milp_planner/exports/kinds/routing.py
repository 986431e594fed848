"""How requests are spread over pools: Gateway API HTTPRoutes, and LiteLLM's `model_list`.

Both spread by weight alone. Where the plan sends classes of requests to different pools a comment
says which: a router that does not see their sizes cannot keep that. Where the hours differ there is
an HTTPRoute for each time block, and a crontab that puts them in force.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from milp_planner.candidates.records import Candidate
from milp_planner.exports.parts.engines import PORT, command_of
from milp_planner.exports.parts.hours import TIME_ZONE, windows
from milp_planner.exports.parts.names import LITELLM_ACCESS, LITELLM_PROVIDERS
from milp_planner.exports.parts.pools import (
    Pool,
    apis_of,
    plain_name,
    plan_lines,
    pools_of,
    unique_names,
)
from milp_planner.exports.parts.words import LONGEST_LABEL, Words
from milp_planner.exports.parts.writing import commented, yaml_document
from milp_planner.inputs.catalog.records import TokenPrice
from milp_planner.lazily import dataclass
from milp_planner.plans.records import Plan, WorkloadPlan

WHOLE = 1000
"""What the weights of a workload sum to: thousandths of its requests."""


@dataclass(frozen=True)
class Weight:
    """A candidate's thousandths of a workload's requests, in one time block."""

    candidate: Candidate
    thousandths: int


def weights_of(plan: Plan, workload: str, block: str | None = None) -> tuple[Weight, ...]:
    """What each candidate serves of a workload in a block, by default its busiest; 1000 in all.

    Whole numbers by largest remainder, and at least 1 for whatever serves something.
    """
    rates: dict[Candidate, float] = {}
    for route in plan.routes_of(workload, busiest(plan, workload) if block is None else block):
        if route.requests_per_second > 0:
            earlier = rates.get(route.candidate, 0.0)
            rates[route.candidate] = earlier + route.requests_per_second
    total = sum(rates.values())
    if total <= 0:
        return ()
    exact = {k: WHOLE * rate / total for k, rate in rates.items()}
    floors = {k: max(1, int(share)) for k, share in exact.items()}
    left = WHOLE - sum(floors.values())
    for k in sorted(exact, key=lambda k: (int(exact[k]) - exact[k], k.id))[: max(0, left)]:
        floors[k] += 1
    if left < 0:
        floors[max(floors, key=lambda k: floors[k])] += left
    return tuple(Weight(k, floors[k]) for k in rates)


def busiest(plan: Plan, workload: str) -> str:
    """The block in which most of a workload is routed."""
    peaks = {
        block.name: sum(r.requests_per_second for r in plan.routes_of(workload, block.name))
        for block in plan.blocks
    }
    return max(peaks, key=lambda name: peaks[name], default="")


def boundary_lines(plan: Plan, w: WorkloadPlan, block: str) -> Iterator[str]:
    """Which pool serves which class, where they differ."""
    by_class: dict[str, dict[str, float]] = {}
    for r in plan.routes_of(w.name, block):
        by_class.setdefault(r.request_class.name, {})[r.candidate.offering.id] = r.share
    if len({tuple(sorted(shares.items())) for shares in by_class.values()}) < 2:
        return
    yield "The plan tells requests apart by size (input/output tokens), which weights do not:"
    for name, shares in by_class.items():
        told = ", ".join(f"{share:.3g} at {id_}" for id_, share in shares.items())
        yield f"  {name}: {told}"


def http_route_files(plan: Plan, words: Words) -> dict[str, str]:
    """`NAME.yaml` for each workload: its backends are the Services of `export kubernetes`.

    Where the plan's hours ask for other weights: `NAME-in-BLOCK.yaml`, and `schedule.crontab`.
    """
    names = unique_names((w.name for w in plan.workloads), LONGEST_LABEL)
    named = dict(zip(names, plan.workloads, strict=True))
    files, lines = {}, []
    for name, w in named.items():
        files[f"{name}.yaml"] = _http_route(plan, w, name, busiest(plan, w.name), words)
        blocks = _blocks_apart(plan, w)
        for window in windows(plan.block_by_hour, [blocks.index(one) for one in blocks]):
            block = blocks[window.replicas]
            file = f"{name}-in-{plain_name(block)}.yaml"
            files.setdefault(file, _http_route(plan, w, name, block, words))
            lines.append(f"{window.cron_start} kubectl apply -f {file}")
    if lines:
        reason = f"The plan's hours; a profile names no zone, and they are taken for {TIME_ZONE}."
        head = commented([*plan_lines(plan), reason])
        files["schedule.crontab"] = f"{head}CRON_TZ={TIME_ZONE}\n" + "\n".join(lines) + "\n"
    return files


def _blocks_apart(plan: Plan, w: WorkloadPlan) -> list[str]:
    """For each block the first one of the same weights: there is a file for those.

    Where nothing is routed any weights do, and those of the busiest block stay.
    """
    first: dict[tuple[Weight, ...], str] = {weights_of(plan, w.name): busiest(plan, w.name)}
    names = [block.name for block in plan.blocks]
    weights = [weights_of(plan, w.name, name) for name in names]
    return [
        first.setdefault(mine, name) if mine else busiest(plan, w.name)
        for mine, name in zip(weights, names, strict=True)
    ]


def _http_route(plan: Plan, w: WorkloadPlan, name: str, block: str, words: Words) -> str:
    names = {pool.candidate: pool.name for pool in pools_of(plan)}
    weights = weights_of(plan, w.name, block)
    backends = [
        {
            "name": names.get(one.candidate) or _api_service(one.candidate, words),
            "port": PORT,
            "weight": one.thousandths,
        }
        for one in weights
    ]
    gateway = words.word("GATEWAY", "the Gateway that the route belongs to")
    hosts = {}
    if len(plan.workloads) > 1:
        host = words.word(f"HOST-OF-{w.name}", f"the host name by which requests of {w.name} come")
        hosts = {"hostnames": [host.lower()]}
    data = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {
            "parentRefs": [{"name": gateway.lower()}],
            **hosts,
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/v1"}}],
                    "backendRefs": backends,
                    "timeouts": {"request": "0s"},
                }
            ],
        },
    }
    told = "hostnames: workloads share a gateway, where paths are alike; their hosts are not."
    ends = (
        "timeouts: an answer may stream for minutes; gateways have limits of their own, off at 0s."
    )
    lines = [*plan_lines(plan), "", *_weight_lines(plan, w, block), ends]
    lines += [told] if hosts else []
    return yaml_document(data, lines)


def _api_service(k: Candidate, words: Words) -> str:
    """An API has no Service: somebody makes one, of type ExternalName."""
    what = f"SERVICE-OF-{k.provider}"
    return words.word(what, f"a Service that leads to the API of {k.provider}").lower()


def _weight_lines(plan: Plan, w: WorkloadPlan, block: str) -> Iterator[str]:
    is_busiest = block == busiest(plan, w.name)
    peak = f", its busiest: {w.peak_requests_per_second:.4g} {w.unit} at the peak" * is_busiest
    yield f"weight: thousandths of the requests of {w.name} in block {block}{peak}."
    yield from boundary_lines(plan, w, block)


def _other_blocks(plan: Plan, w: WorkloadPlan) -> Iterator[str]:
    """The weights of blocks that ask for others, for a file that has but those of the busiest."""
    for block in dict.fromkeys(_blocks_apart(plan, w)):
        if block != busiest(plan, w.name):
            shares = (
                f"{one.thousandths} at {one.candidate.offering.id}"
                for one in weights_of(plan, w.name, block)
            )
            yield f"In block {block} the weights of {w.name} are {', '.join(shares)}."


def litellm_files(plan: Plan, words: Words) -> dict[str, str]:
    """`config.yaml` of LiteLLM's proxy: one entry for each pool and API."""
    pools = {pool.candidate: pool for pool in pools_of(plan)}
    entries = [
        _entry(w, one, pools.get(one.candidate), words)
        for w in plan.workloads
        for one in weights_of(plan, w.name)
    ]
    data = {"model_list": entries, "router_settings": {"routing_strategy": "simple-shuffle"}}
    reasons = [
        line
        for w in plan.workloads
        for line in (*_weight_lines(plan, w, busiest(plan, w.name)), *_other_blocks(plan, w))
    ]
    shuffle = "simple-shuffle draws by weight. api_base: the Services of `export kubernetes`."
    unused = [p.candidate.offering.id for p in apis_of(plan) if p.requests_share <= 0]
    idle = [f"Bought and not used at the peak: {', '.join(unused)}."] if unused else []
    text = yaml_document(data, [*plan_lines(plan), "", *reasons, shuffle, *idle])
    return {"config.yaml": text}


def _entry(w: WorkloadPlan, one: Weight, pool: Pool | None, words: Words) -> dict[str, Any]:
    k = one.candidate
    info = {"id": k.id}
    if pool is not None:
        llm = pool.workload.llm
        model = command_of(pool, words).model if pool.settings is not None else llm
        served = {"model": f"hosted_vllm/{llm}", "api_base": f"http://{pool.name}:{PORT}/v1"}
        served["api_key"] = "none"
        info["base_model"] = model
    else:
        access = LITELLM_ACCESS.get(k.provider, {"api_key": _key_name(k)})
        told = {setting: f"os.environ/{variable}" for setting, variable in access.items()}
        served = {"model": _api_model(k, words), **told}
    return {
        "model_name": w.name,
        "litellm_params": {**served, "weight": one.thousandths},
        "model_info": info,
    }


def _api_model(k: Candidate, words: Words) -> str:
    """`together_ai/NAME`; the provider's own name of the LLM is what the price's note holds."""
    assert isinstance(k.offering, TokenPrice), "what is paid per token"
    provider = LITELLM_PROVIDERS.get(k.provider)
    name = k.offering.note.split(";")[0].split(" ")[0]
    if not provider:
        provider = words.word(f"LITELLM-PROVIDER-OF-{k.provider}", f"LiteLLM's way to {k.provider}")
    if not name:
        name = words.word(f"{k.provider}-NAME-OF-{k.offering.llm}", f"what {k.provider} calls it")
    return f"{provider}/{name}"


def _key_name(k: Candidate) -> str:
    return f"{plain_name(k.provider).replace('-', '_').upper()}_API_KEY"
