"""The problem's hash is that of the question: not of its layout, nor of keys it leaves alone."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from milp_planner import Latency, Limits, OverloadPenalty, Problem, TokensPerDay, load_problem
from milp_planner.inputs.problem.fingerprint import problem_sha256
from milp_planner.inputs.problem.patching import patched, plain_document
from milp_planner.inputs.reading.records import Frozen
from tests.support.builders import problem, workload

PROBLEMS = sorted((Path(__file__).parents[2] / "problems").rglob("*.yaml"))

LEAST = """
schema_version: 1
workloads:
  - name: chat
    llm: tiny
    traffic: {kind: tokens_per_day, tokens_per_day: 5M}
    requests: {input_tokens: 10, output_tokens: 5}
    latency: {tpot: 50ms}
"""

SAME = """
workloads:
  - traffic: {growth: 1, tokens_per_day: 5_000_000.0, pattern: steady, kind: tokens_per_day}
    latency: {ttft: null, tpot: 0.05s}
    requests: {output_tokens: 5, input_tokens: 10}
    min_replicas: 1
    llm: tiny
    name: chat
policy: {utilization: {target: 75%}, penalties: {}, hours_per_month: 720}
limits: {providers: {allow: [], deny: []}, max_units: {}, max_gpus: {per_gpu: {}}}
solver: {time_limit: 1min, gap: 0%}
alternatives: {count: 3}
current_fleet: []
catalog: market
schema_version: 1
"""


def sha_of(text: str) -> str:
    return problem_sha256(load_problem("p.yaml", text=text))


def test_a_written_default_another_order_or_spelling_changes_no_hash():
    assert sha_of(LEAST) == sha_of(SAME)


def test_a_hash_is_the_same_on_every_machine_and_day():
    assert sha_of(LEAST) == "b19c1a56af0444c41b322adff10b6462b4a96ef9a9f8d9dc77053ae07706d382"


def test_a_key_is_the_same_by_its_name_in_files_and_by_its_name_in_code():
    by_file = problem(chat={"latency": {"tpot": 0.05}}, solver={"time_limit": 9})
    by_code = problem(chat={"latency": {"tpot_s": 0.05}}, solver={"time_limit_s": 9.0})
    assert problem_sha256(by_file) == problem_sha256(by_code)


class LaterUnits(Frozen):
    """A record that a later version might add."""

    most: int = 7


class LaterLatency(Latency):
    """Latency with keys that a later version might add."""

    p99_s: float | None = None
    window: LaterUnits = LaterUnits()


class LaterLimits(Limits):
    """Limits with a key that a later version might add."""

    countries: tuple[str, ...] = ()


class LaterProblem(Problem):
    """The problem of a later version, in which records of defaults are of other classes."""

    limits: LaterLimits = LaterLimits()
    carbon: LaterUnits | None = None


@pytest.mark.parametrize("path", PROBLEMS, ids=lambda path: path.stem)
def test_a_new_optional_key_changes_no_hash_of_a_shipped_problem(path):
    today = load_problem(path)
    document = plain_document(today)
    latencies = [w.pop("latency", {}) for w in document["workloads"]]
    later = LaterProblem(**document)
    workloads = tuple(
        w.model_copy(update={"latency": LaterLatency(**latency)})
        for w, latency in zip(later.workloads, latencies, strict=True)
    )
    later = later.model_copy(update={"workloads": workloads})
    assert problem_sha256(later) == problem_sha256(today)


def test_a_new_key_that_is_given_changes_the_hash():
    today = plain_document(problem())
    told = LaterProblem(**today, carbon={})
    assert problem_sha256(told) != problem_sha256(LaterProblem(**today))


CHANGES = [
    {},
    {"name": "other"},
    {"catalog": "inference-atlas"},
    {"workloads.chat.name": "talk"},
    {"workloads.chat.llm": "small"},
    {"workloads.chat.precision": ["fp8"]},
    {"workloads.chat.precision": ["bf16"]},
    {"workloads.chat.precision": ["fp8", "bf16"]},
    {"workloads.chat.tensor_parallel": [1]},
    {"workloads.chat.traffic.requests_per_second": 10.5},
    {"workloads.chat.traffic.growth": 1.1},
    {"workloads.chat.requests.output_tokens": 2},
    {"workloads.chat.latency.tpot": "50ms"},
    {"workloads.chat.latency.ttft": "50ms"},
    {"workloads.chat.min_replicas": 2},
    {"workloads.chat.priority": 2},
    {"policy.preset": "inference-atlas"},
    {"policy.penalties.overload": {}},
    {"policy.penalties.overload": {"above": 0}},
    {"policy.penalties.scaling": {}},
    {"policy.switch_off_dedicated": True},
    {"policy.confidence": "p50"},
    {"limits.budget.usd_per_month": 1},
    {"limits.budget": {"usd_per_month": 1, "when_short": "fair"}},
    {"limits.providers.allow": ["acme"]},
    {"limits.providers.deny": ["acme"]},
    {"limits.regions.deny": ["acme"]},
    {"limits.max_units.acme": 0},
    {"limits.max_units.acme": 1},
    {"limits.max_gpus.per_gpu.acme": 1},
    {"limits.max_gpus.per_provider.acme": 1},
    {"limits.max_spot_share": 0},
    {"limits.max_usd_per_gpu_hour": 2},
    {"limits.max_usd_per_gpu_hour": {"spot": 2}},
    {"limits.host.min_vcpus_per_gpu": 2},
    {"limits.host.min_memory_gib_per_gpu": 2},
    {"policy.stale_after": "2d"},
    {"prices.own": {"acme/*": 2}},
    {"prices.discounts": {"acme/*": 0.2}},
    {"limits.survive_loss_of": "region"},
    {"limits.survive_loss_of": {"kind": "region", "share": 0.5}},
    {"current_fleet": [{"offering": "a/b/c", "workload": "chat", "units": 1}]},
    {"switching.max_units_changed": 0},
    {"solver.certify": False},
    {"solver.seed": 2},
]


def test_whatever_is_really_changed_changes_the_hash():
    assert len({problem_sha256(patched(problem(), change)) for change in CHANGES}) == len(CHANGES)


def test_a_penalty_of_all_defaults_is_not_the_same_as_none():
    # With `overload: {}` the ramp is on, at its own defaults; without, there is no ramp.
    with_ramp = problem(policy={"penalties": {"overload": OverloadPenalty()}})
    assert problem_sha256(with_ramp) != problem_sha256(problem())


class TokensPerNight(TokensPerDay):
    """A kind of traffic that a later version might add."""

    kind: Literal["tokens_per_night"] = "tokens_per_night"  # type: ignore[assignment]


def test_two_kinds_of_traffic_with_the_same_numbers_have_two_hashes():
    by_day = problem(workloads=[workload(traffic={"kind": "tokens_per_day", "tokens_per_day": 8})])
    chat = by_day.workloads[0].model_copy(update={"traffic": TokensPerNight(tokens_per_day=8)})
    assert problem_sha256(by_day.model_copy(update={"workloads": (chat,)})) != problem_sha256(
        by_day
    )


def test_every_shipped_problem_has_a_hash_of_its_own():
    assert len({problem_sha256(load_problem(path)) for path in PROBLEMS}) == len(PROBLEMS)
