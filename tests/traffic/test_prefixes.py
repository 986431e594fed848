"""Prefixes of a trace of any length are counted in bounded memory, as a cache of it would."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from milp_planner import InputError, Trace
from milp_planner.traffic.digest import digest
from milp_planner.traffic.sources import json_rows
from milp_planner.traffic.sources.json_rows import PrefixCounter

BLOCK = 512


def row(hashes: Sequence[object], at: int = 0) -> dict[str, object]:
    length = BLOCK * len(hashes)
    return {"timestamp": at, "input_length": length, "output_length": 1, "hash_ids": [*hashes]}


def counted(requests: Sequence[Sequence[object]]) -> PrefixCounter:
    counter = PrefixCounter()
    for hashes in requests:
        counter.add(row(hashes))
    return counter


def found_by_lru(requests: Sequence[Sequence[object]], places: int) -> int:
    """The oracle: a cache that drops the block that was used least recently."""
    cache: OrderedDict[object, None] = OrderedDict()
    blocks = 0
    for hashes in requests:
        for one in hashes:
            if one not in cache:
                break
            blocks += 1
        for one in hashes:
            cache[one] = None
            cache.move_to_end(one)
        while len(cache) > places:
            cache.popitem(last=False)
    return blocks * BLOCK


def test_what_is_used_again_is_remembered_and_what_is_not_goes(monkeypatch) -> None:
    monkeypatch.setattr(json_rows, "REMEMBERED", 3)
    # 1 is used in every request and stays; 9 came first, and six others since.
    requests = [[9], [1, 2], [1, 3], [1, 4], [1, 5], [1, 6], [1, 7], [9]]
    counter = counted(requests)
    assert counter.cached_tokens == 5 * BLOCK
    assert counter.remembered == 3
    assert len(counter._young) + len(counter._old) <= 2 * 3 + 1


@pytest.mark.parametrize("places", [4, 16, 60])
def test_it_finds_no_less_than_a_cache_of_its_size_and_no_more_than_one_without_end(
    places: int, monkeypatch
) -> None:
    monkeypatch.setattr(json_rows, "REMEMBERED", places)
    for seed in range(40):
        draw = np.random.default_rng(seed)
        heads = draw.zipf(1.5, (60, 3)).clip(max=30).tolist()
        requests = [[(h[: k + 1]) for k in range(len(h))] for h in heads]
        texts = [[str(one) for one in hashes] for hashes in requests]
        counter = counted(texts)
        endless = found_by_lru(texts, 10**9)
        assert found_by_lru(texts, places) <= counter.cached_tokens <= endless
        if counter.remembered is None:
            assert counter.cached_tokens == endless


def test_memory_is_bounded_and_the_file_says_that_it_was(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(json_rows, "REMEMBERED", 50)
    rows = [row([f"a{i}", f"b{i}"], at=i * 1000) for i in range(200)]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    found = digest(path, Trace(file=path.name))
    assert found.cached_share == 0
    assert (
        "holds more than 50 blocks of prefixes, and each was looked for among so many at least "
        "that came last; a cache that keeps more finds more"
    ) in found.doubts
    few = tmp_path / "few.jsonl"
    few.write_text("".join(json.dumps(one) + "\n" for one in rows[:20]))
    assert not any("prefixes" in said for said in digest(few, Trace(file="few.jsonl")).doubts)


def test_a_hash_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(f"{json.dumps(row([1]))}\n{json.dumps(row([[2]]))}\n")
    with pytest.raises(InputError, match=r"t\.jsonl:2: hash_ids: expected numbers or texts"):
        digest(path, Trace(file="t.jsonl"))
