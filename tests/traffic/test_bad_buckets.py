"""Counts by the time that are none are refused with their place, whatever stands there."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import InputError, Trace
from milp_planner.traffic.digest import digest
from tests.support.examples import tries


def read(folder: Path, name: str, text: str) -> Any:
    path = folder / name
    path.write_text(text)
    return digest(path, Trace(file=name, requests_per_second=1))


def series(**parts: Any) -> dict[str, Any]:
    return {"data": {"result": [{"metric": {}, "values": [[1, "1"], [2, "1"]], **parts}]}}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"data": {"result": [1]}}, "result[0]: has no values over a time"),
        (series(values=None), "result[0]: has no values over a time"),
        (series(metric=[1]), "result[0]: has no values over a time"),
        (series(values=[1, 2]), "result[0].values[0]: expected a time and a value, found '1'"),
        (series(values=[["a", "b"]]), "result[0].values[0]: expected a time and a value"),
        (series(values=[[1, None]]), "result[0].values[0]: expected a time and a value"),
        (series(values=[[1, "1"], [2, "-1"]]), "values[1]: expected a time and a rate from 0 on"),
        (series(values=[[1, "1"], [2, "+Inf"]]), "values[1]: expected a time and a rate from 0 on"),
        (series(values=[[1, "NaN"], [2, "NaN"]]), "tells no rate of requests at two times or more"),
        ({"data": [1]}, "data[0]: is no bucket with `results`"),
        ({"data": [{"results": 1}]}, "data[0]: is no bucket with `results`"),
        ({"data": [{"results": [1]}]}, "data[0].results[0]: is no object"),
        ({"data": [{"results": None}]}, "has no buckets"),
        ([{"input_tokens": 10**30, "output_tokens": 1}], "[0]: expected a count of tokens"),
    ],
)
def test_what_is_no_count_by_the_time_is_refused(document: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, "t.json", json.dumps(document))
    assert said in str(error.value)


@pytest.mark.parametrize("tail", ["", ",", ",500"])
def test_a_row_without_a_count_is_not_one_of_none(tail: str, tmp_path: Path) -> None:
    more = ",input_tokens" if tail else ""
    days = "".join(f"2026-11-{d:02d},{'' if d == 3 else 100 + d}{tail}\n" for d in range(1, 9))
    with pytest.raises(InputError) as error:
        read(tmp_path, "c.csv", f"time,requests{more}\n{days}")
    assert "c.csv:4: requests: tells no count" in str(error.value)
    assert "write 0 where there were no requests; leave the row out" in str(error.value)
    read(tmp_path, "d.csv", f"time,requests{more}\n{days.replace('-03,', '-03,0')}")


def test_a_result_of_a_usage_export_without_a_count_is_named(tmp_path: Path) -> None:
    told = [
        {
            "start_time": 1793577600 + 3600 * i,
            "end_time": 1793577600 + 3600 * (i + 1),
            "results": [{"num_model_requests": None if i == 1 else 5, "input_tokens": 7}],
        }
        for i in range(3)
    ]
    with pytest.raises(InputError) as error:
        read(tmp_path, "u.json", json.dumps({"data": told}))
    assert "data[1].results[0].requests: tells no count" in str(error.value)


@pytest.mark.parametrize("cell", ["-2", "inf", "nan", "two"])
def test_a_rate_of_grafana_is_a_number_from_0_on(cell: str, tmp_path: Path) -> None:
    text = f"Time,requests/s\n2026-11-01 00:00:00,3\n2026-11-01 01:00:00,{cell}\n"
    with pytest.raises(InputError, match=r"g\.csv:3: "):
        read(tmp_path, "g.csv", text)


LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(),
    st.sampled_from(["1", "x", "vllm:request_success_total", "NaN", "2026-11-02"]),
)
NAMES = ("data", "result", "metric", "values", "__name__", "results", "num_model_requests")
MORE = ("start_time", "end_time", "input_tokens", "requests", "conversations", "tokens", "from")
DOCUMENTS = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(NAMES + MORE), inner, max_size=4),
    ),
    max_leaves=25,
)


@tries(2)
@given(document=DOCUMENTS, shell=st.sampled_from(["", "answer", "usage", "series"]))
def test_any_json_is_read_or_refused(document: Any, shell: str, tmp_path_factory: Any) -> None:
    within = {
        "": document,
        "answer": {"data": {"result": document}},
        "usage": {"data": [{"start_time": 1, "end_time": 2, "results": document}]},
        "series": series(values=document),
    }[shell]
    folder = tmp_path_factory.mktemp("any")
    with suppress(InputError):
        read(folder, "t.json", json.dumps(within))
