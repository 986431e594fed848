"""Formats that people have: each is known by its content, its unit known, stated or refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from milp_planner import InputError, Problem, Trace, TraceColumns, load_catalog, prepare
from milp_planner.traffic import trace as traffic_trace
from milp_planner.traffic import trace_doubts
from milp_planner.traffic.digest import digest
from milp_planner.traffic.digested import MonthPart, TraceDigest
from milp_planner.traffic.month import make_schedule
from milp_planner.traffic.trace import read_requests

MOONCAKE = [
    # The second request begins as the first, in one block of 512 tokens; the third as the second.
    {"timestamp": 0, "input_length": 1024, "output_length": 10, "hash_ids": [0, 1]},
    {"timestamp": 500, "input_length": 1024, "output_length": 20, "hash_ids": [0, 2]},
    {"timestamp": 120_000, "input_length": 1000, "output_length": 30, "hash_ids": [0, 2]},
]


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def read(path: Path, **fields: Any) -> TraceDigest:
    return digest(path, Trace(file=path.name, **fields))


def refused(path: Path, **fields: Any) -> str:
    with pytest.raises(InputError) as error:
        read(path, **fields)
    return str(error.value)


# --- requests -----------------------------------------------------------------------------------


def test_json_lines_count_milliseconds(tmp_path: Path) -> None:
    found = read(write(tmp_path, "t.jsonl", lines(MOONCAKE)))
    assert (found.form, found.unit) == ("JSON lines of requests", "ms")
    assert (found.requests, found.duration_s) == (3, 120.0)
    assert (found.input_tokens, found.output_tokens) == (3048, 60)
    assert found.doubts == ()


def test_hashes_of_blocks_tell_what_a_cache_would_find(tmp_path: Path) -> None:
    # 0 + 512 + 1000 (both blocks, and no more than the input) of 3048 tokens.
    found = read(write(tmp_path, "t.jsonl", lines(MOONCAKE)))
    assert found.cached_share == pytest.approx(1512 / 3048)
    without = [{k: v for k, v in row.items() if k != "hash_ids"} for row in MOONCAKE]
    assert read(write(tmp_path, "u.jsonl", lines(without))).cached_share is None


def test_a_hash_counts_only_behind_those_before_it(tmp_path: Path) -> None:
    rows = [
        {"timestamp": 0, "input_length": 1024, "output_length": 1, "hash_ids": [0, 1]},
        {"timestamp": 1, "input_length": 1024, "output_length": 1, "hash_ids": [7, 1]},
    ]
    assert read(write(tmp_path, "t.jsonl", lines(rows))).cached_share == 0


@pytest.mark.parametrize(("unit", "seconds"), [("s", 90_000.0), ("ms", 90.0), ("us", 60.0)])
def test_a_stated_unit_is_taken(unit: str, seconds: float, tmp_path: Path) -> None:
    # From 0 to 90,000; what is shorter than a minute counts as one.
    path = write(tmp_path, "t.csv", "arrival,input_tokens,output_tokens\n0,1,1\n90000,1,1\n")
    assert read(path, unit=unit).duration_s == seconds


def test_the_name_of_a_column_tells_its_unit(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "arrival_ms,input_tokens,output_tokens\n0,1,1\n90000,1,1\n")
    assert (read(path).unit, read(path).duration_s) == ("ms", 90.0)


def test_times_since_1970_have_their_hour_and_day(tmp_path: Path) -> None:
    # 2026-11-02 is a Monday; 1793577600 s is its midnight.
    header = "arrival,input_tokens,output_tokens\n"
    for name, factor, unit in (("s", 1, None), ("ms", 1000, "ms"), ("us", 10**6, "us")):
        rows = "".join(f"{(1793577600 + s) * factor},1,1\n" for s in (3600, 7200))
        path = write(tmp_path, f"{name}.csv", header + rows)
        requests = read_requests(path, unit=unit)
        assert requests.has_timestamps
        assert (requests.arrival_s % (7 * 86400)).tolist() == [3600, 7200]


def test_milliseconds_since_1970_that_are_not_stated_are_refused_with_the_word(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "t.csv", "arrival,input_tokens,output_tokens\n1793577600000,1,1\n")
    assert "must be seconds, at most 1e+11 (is 1793577600000); write unit: ms" in refused(path)


def test_milliseconds_read_as_seconds_are_doubted_with_both_readings(tmp_path: Path) -> None:
    # 100 requests in 300,000: 0.00033 a second, or 0.33.
    rows = "".join(f"{3000 * i + i % 7},10,10\n" for i in range(100))
    path = write(tmp_path, "t.csv", f"arrival,input_tokens,output_tokens\n{rows}")
    (said,) = read(path).doubts
    assert said.startswith("arrivals are read as seconds: 0.000337 requests/s; in milliseconds it")
    assert "0.337; state unit: s or unit: ms" in said
    assert read(path, unit="s").doubts == ()
    assert read(path, unit="ms").doubts == ()


def test_a_csv_of_mooncakes_columns_is_read_as_milliseconds_and_says_so(tmp_path: Path) -> None:
    rows = "".join(f"{300 * i + i % 7},10,10\n" for i in range(100))
    path = write(tmp_path, "t.csv", f"timestamp,input_length,output_length\n{rows}")
    found = read(path, columns=TraceColumns(arrival="timestamp"))
    assert found.unit == "ms"
    (said,) = found.doubts
    assert said.startswith("arrivals are read as milliseconds, as traces with that column count")
    assert said.endswith("state unit: ms or unit: s")


def test_a_rate_beyond_reason_is_doubted(tmp_path: Path, monkeypatch) -> None:
    # 3,500 within 50 microseconds are taken to be those of a minute: 58 requests/s.
    monkeypatch.setattr(trace_doubts, "MOST_RATE", 50.0)
    rows = "".join(f"{i / 1e6},10,10\n" for i in range(50)) * 70
    path = write(tmp_path, "t.csv", f"arrival,input_tokens,output_tokens\n{rows}")
    (said,) = read(path).doubts
    assert said.startswith("arrivals are read as seconds: 58 requests/s, which is beyond")


def test_rows_at_equal_distances_look_like_counts(tmp_path: Path) -> None:
    rows = "".join(f"{60 * i},900,90\n" for i in range(30))
    path = write(tmp_path, "t.csv", f"arrival,input_tokens,output_tokens\n{rows}")
    (said,) = [d for d in read(path, unit="s").doubts if "apart" in d]
    assert said.startswith("all 30 arrivals are 60 s apart: rows look like counts of a time")


BURST = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,GPT-4,100,200,300,API log
118,ChatGPT,1087,230,1317,Conversation log
"""


def test_burstgpt_says_that_it_has_several_models_and_one_is_picked(tmp_path: Path) -> None:
    path = write(tmp_path, "b.csv", BURST)
    columns = TraceColumns(arrival="Timestamp")
    whole = read(path, columns=columns)
    assert (whole.requests, whole.output_tokens) == (3, 448)
    assert whole.doubts == ("holds requests of ChatGPT, GPT-4, taken together; model: picks one",)
    one = read(path, columns=columns, model="ChatGPT")
    assert (one.requests, one.output_tokens, one.doubts) == (2, 248, ())
    said = refused(path, columns=columns, model="ChatGTP")
    assert "no row is of model 'ChatGTP'; has ChatGPT, GPT-4" in said
    assert "did you mean 'ChatGPT'?" in said


def test_conversations_with_lengths_become_requests_at_a_stated_rate(tmp_path: Path) -> None:
    talk = [("human", 10), ("gpt", 20), ("human", 5), ("gpt", 7)]
    turns = [{"from": who, "tokens": n} for who, n in talk]
    path = write(tmp_path, "c.json", json.dumps([{"conversations": turns}] * 600, indent=1))
    found = read(path, requests_per_second=2)
    # Each has two requests, 10 in and 20 out, 35 in and 7 out; 1200 at 2 a second are 10 minutes.
    assert (found.requests, found.input_tokens, found.output_tokens) == (1200, 27_000, 16_200)
    assert (found.duration_s, found.hours) == (600, (MonthPart(1.0, 2, 2),))
    few = write(tmp_path, "few.json", json.dumps([{"conversations": turns}] * 5))
    assert read(few, requests_per_second=2).hours == found.hours  # 5 seconds of it
    assert found.doubts == ()
    assert "tells the sizes of requests and no times" in refused(path)


def test_conversations_without_lengths_are_refused(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "Hello"}]
    path = write(tmp_path, "c.json", json.dumps([{"conversations": turns}]))
    said = refused(path, requests_per_second=1)
    assert "[0].turns[0]: tells no length; count its tokens" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"timestamp": 0, "input_length": 1, "output_length": 1}\n{"timestamp": \n', ":2: not"),
        ('{"timestamp": 0, "input_length": 1, "output_length": 1}\n[1]\n', ":2: is no object"),
        (
            '{"timestamp": 0, "input_length": 1, "output_length": 1}\n'
            '{"timestamp": 9, "input_length": 1, "output_length": -1}\n',
            "output_length: must be at least 0 (is -1)",
        ),
        ("[1, 2]\n", "is JSON, but neither requests a line, nor a usage export"),
        ('{"a": \n', "not valid JSON"),
    ],
)
def test_bad_json_is_refused_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    assert said in refused(write(tmp_path, "t.jsonl", text))


# --- buckets ------------------------------------------------------------------------------------

USAGE = "timestamp,num_model_requests,input_tokens,output_tokens,input_cached_tokens,model\n"


def usage(minutes: int, per_minute: int) -> str:
    rows = (
        f"2026-11-02T{m // 60:02}:{m % 60:02}:00,{per_minute},{1000 * per_minute},"
        f"{200 * per_minute},{250 * per_minute},m1\n"
        for m in range(minutes)
    )
    return USAGE + "".join(rows)


def test_a_usage_export_counts_requests(tmp_path: Path) -> None:
    # 30 a minute are 0.5 a second, whatever the number of rows.
    found = read(write(tmp_path, "u.csv", usage(90, 30)))
    assert found.bucket_s == 60
    assert (found.requests, found.duration_s) == (2700, 5400)
    assert found.cached_share == pytest.approx(0.25)
    (size,) = found.bins
    assert (size.input_tokens / size.requests, size.output_tokens / size.requests) == (1000, 200)
    assert {(part.peak, part.mean) for part in found.hours} == {(0.5, 0.5)}


def test_a_day_of_buckets_has_a_clock_and_its_peaks(tmp_path: Path) -> None:
    text = usage(1440, 30).replace("2026-11-02T09:30:00,30,", "2026-11-02T09:30:00,600,")
    found = read(write(tmp_path, "u.csv", text), percentile=1.0)
    assert found.clock == 24
    assert found.hours[9].peak == pytest.approx(10.0)
    assert found.hours[8].peak == pytest.approx(0.5)
    total = 1439 * 30 + 600
    assert sum(part.mean * part.share for part in found.hours) == pytest.approx(total / 86_400)


def test_buckets_of_a_day_say_that_their_peaks_are_not_known(tmp_path: Path) -> None:
    text = (
        "start_time,end_time,num_model_requests,model,input_tokens,output_tokens\n"
        "1762819200,1762905600,86400,m1,864000,86400\n"
        "1762905600,1762992000,172800,m2,1728000,172800\n"
    )
    found = read(write(tmp_path, "u.csv", text))
    assert [part.mean for part in found.hours] == [1.0, 2.0]
    hours, models = found.doubts
    assert hours.startswith("a bucket has 24 hours: peaks within it are not known")
    assert models == "counts m1, m2 together; model: picks one"
    assert read(tmp_path / "u.csv", model="m2").requests == 172_800


def test_any_columns_may_be_named_for_counts(tmp_path: Path) -> None:
    text = "when,n,in,out\n2026-11-02 00:00,60,600,60\n2026-11-02 00:01,60,600,60\n"
    columns = TraceColumns(arrival="when", requests="n", input_tokens="in", output_tokens="out")
    found = read(write(tmp_path, "u.csv", text), columns=columns)
    assert (found.requests, found.input_tokens) == (120, 1200)
    assert found.hours[0].mean == 1.0


def test_the_usage_api_is_read_too(tmp_path: Path) -> None:
    result = {"num_model_requests": 60, "input_tokens": 600, "output_tokens": 60}
    data = [
        {"start_time": 1793577600 + 60 * i, "end_time": 1793577660 + 60 * i, "results": [result]}
        for i in range(2)
    ]
    found = read(write(tmp_path, "u.json", json.dumps({"object": "page", "data": data})))
    assert (found.requests, found.duration_s) == (120, 120)


def answer(*values: float, name: str = "", step: int = 60) -> dict[str, Any]:
    points = [[1793577600 + step * i, str(value)] for i, value in enumerate(values)]
    metric = {"__name__": name} if name else {"model_name": "llama"}
    return {"status": "success", "data": {"result": [{"metric": metric, "values": points}]}}


def test_prometheus_rates_are_per_second(tmp_path: Path) -> None:
    # 2, 4 and 6 requests/s for a minute each: 720.
    found = read(write(tmp_path, "p.json", json.dumps(answer(2, 4, 6))), percentile=1.0)
    assert (found.requests, found.duration_s) == (720, 180)
    assert (found.hours[0].mean, found.hours[0].peak) == (4.0, 6.0)
    assert found.bins == ()


def test_several_answers_of_prometheus_bring_sizes_and_the_cached_share(tmp_path: Path) -> None:
    whole = {
        "requests": answer(2, 2),
        "prompt_tokens": answer(2000, 2000),
        "generation_tokens": answer(400, 400),
        "prompt_tokens_cached": answer(500, 500),
    }
    found = read(write(tmp_path, "p.json", json.dumps(whole)))
    (size,) = found.bins
    assert (size.input_tokens / size.requests, size.output_tokens / size.requests) == (1000, 200)
    assert found.cached_share == pytest.approx(0.25)


def test_a_counter_that_only_grows_becomes_a_rate_and_survives_a_reset(tmp_path: Path) -> None:
    # 120 a minute, a restart at 60, then 120 more: 2, 1 and 2 a second.
    counter = answer(1000, 1120, 60, 180, name="vllm:request_success_total")
    found = read(write(tmp_path, "p.json", json.dumps(counter)), percentile=1.0)
    assert (found.requests, found.hours[0].peak) == (300, 2.0)


def together(**series: tuple[float, ...]) -> dict[str, Any]:
    """One answer with a series for each name, as a query for all of an engine's metrics gives."""
    parts = [answer(*values, name=f"vllm:{name}") for name, values in series.items()]
    return {"data": {"result": [part["data"]["result"][0] for part in parts]}}


COUNTED = {
    # 120 requests a minute with 1000 and 200 tokens each, half of the input from the cache.
    "request_success_total": (0, 120, 240),
    "prompt_tokens_total": (0, 120_000, 240_000),
    "generation_tokens_total": (0, 24_000, 48_000),
    "prefix_cache_hits_total": (0, 60_000, 120_000),
}


def test_all_metrics_of_an_engine_in_one_answer_are_told_apart(tmp_path: Path) -> None:
    beside = {
        "prefix_cache_queries_total": (0, 120_000, 240_000),
        "num_requests_running": (30, 30, 30),
        "e2e_request_latency_seconds_count": (0, 120, 240),
        "request_prompt_tokens_sum": (0, 120_000, 240_000),
    }
    found = read(write(tmp_path, "p.json", json.dumps(together(**COUNTED, **beside))))
    (size,) = found.bins
    assert (found.requests, found.hours[0].mean) == (240, 2.0)
    assert (size.input_tokens / size.requests, size.output_tokens / size.requests) == (1000, 200)
    assert found.cached_share == pytest.approx(0.5)


@pytest.mark.parametrize(
    "name", ["num_requests_running", "e2e_request_latency_seconds_count", "gpu_cache_usage_perc"]
)
def test_what_is_no_rate_of_requests_is_not_read_as_one(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, "p.json", json.dumps(together(**{name: (30, 30, 30)})))
    said = refused(path)
    assert f"vllm:{name}: tells neither requests nor tokens a second" in said
    assert "query the rates of an engine's counters, such as vllm:request_success_total" in said
    inner = {"metrics": {"requests": answer(2, 2), "busy": answer(9, 9)}}
    said = refused(write(tmp_path, "b.json", json.dumps(inner)))
    assert "busy: tells neither requests nor tokens a second" in said
    gauge = "Time,Requests running\n2026-11-01 00:00:00,3\n2026-11-01 01:00:00,1\n"
    assert "no column" in refused(write(tmp_path, "h.csv", gauge))


def test_grafanas_csv_is_read_by_the_names_of_its_series(tmp_path: Path) -> None:
    text = (
        '"Time","requests/s","prompt tokens/s","generation tokens/s"\n'
        "2026-11-01 00:00:00,2,2000 t/s,400\n2026-11-01 00:01:00,2,2000 t/s,400\n"
    )
    (size,) = read(write(tmp_path, "g.csv", text)).bins
    assert (size.input_tokens / size.requests, size.output_tokens / size.requests) == (1000, 200)
    alone = "Time,request rate\n2026-11-01 00:00:00,3\n2026-11-01 01:00:00,1\n"
    found = read(write(tmp_path, "h.csv", alone))
    assert (found.requests, found.bins) == (14_400, ())


def test_a_workload_file_of_inference_perf_has_stages_and_a_shared_prefix(tmp_path: Path) -> None:
    text = """
load: {type: constant, stages: [{rate: 1, duration: 60}, {rate: 4, duration: 60}]}
data:
  type: shared_prefix
  shared_prefix: {system_prompt_len: 300, question_len: 100, output_len: 50}
"""
    found = read(write(tmp_path, "w.yaml", text), percentile=1.0)
    assert (found.requests, found.input_tokens, found.output_tokens) == (300, 120_000, 15_000)
    assert found.cached_share == pytest.approx(0.75)
    assert found.hours[0].peak == 4.0
    bare = "load: {stages: [{rate: 1, duration: 60}]}\ndata: {type: shareGPT}\n"
    assert "data.input_distribution: required" in refused(write(tmp_path, "b.yaml", bare))


def problem_of(path: Path, **fields: Any) -> Problem:
    chat = {"name": "chat", "llm": "llama-3.1-8b", **fields}
    chat["traffic"] = {"kind": "trace", "file": str(path)}
    return Problem(workloads=[chat])


def test_counts_without_tokens_need_a_size_and_others_refuse_one(tmp_path: Path) -> None:
    rates = write(tmp_path, "p.json", json.dumps(answer(2, 4, 6)))
    size = {"input_tokens": 1000, "output_tokens": 100}
    with pytest.raises(InputError, match="requests: required: the file counts requests and tells"):
        make_schedule(problem_of(rates))
    demand = make_schedule(problem_of(rates, requests=size)).demands["chat"]
    assert [(q.input_tokens, q.output_tokens) for q in demand.classes] == [(1000, 100)]
    counted = write(tmp_path, "u.csv", usage(5, 30))
    with pytest.raises(InputError, match="a trace brings its own request classes"):
        make_schedule(problem_of(counted, requests=size))


def test_what_a_file_tells_of_the_cache_is_planned_with_unless_the_problem_says(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "u.csv", usage(90, 30))
    catalog = load_catalog("market")

    def share(**fields: Any) -> float:
        planned = prepare(problem_of(path, **fields), catalog).problem
        return planned.workload("chat").deployment.prefix_cache_share

    assert share() == 0.25
    assert share(deployment={"prefix_cache_share": 0}) == 0.0
    assert share(deployment={"prefix_cache_share": 0.6}) == 0.6


def test_doubts_of_a_trace_are_told_with_a_plan(tmp_path: Path) -> None:
    rows = "".join(f"{300 * i + i % 7},10,10\n" for i in range(100))
    path = write(tmp_path, "t.csv", f"timestamp,input_length,output_length\n{rows}")
    chat = {"name": "chat", "llm": "llama-3.1-8b"}
    chat["traffic"] = {"kind": "trace", "file": str(path), "columns": {"arrival": "timestamp"}}
    (said,) = prepare(Problem(workloads=[chat]), load_catalog("market")).candidates.doubts
    assert said.startswith("workloads.chat.traffic: arrivals are read as milliseconds")


def test_the_names_of_azures_traces_stay_known() -> None:
    assert "ContextTokens" in traffic_trace.KNOWN_COLUMNS["input_tokens"]


@pytest.mark.parametrize(
    "content",
    [
        "arrival\rinput_tokens,output_tokens\n1,2,3\n",
        'start_time,num_model_requests\n"1,2\n',
        "start_time,num_model_requests\n1\r2,3\n",
        'Time,requests\n"1,2\n',
        '"' + "x" * 140_000,
        "\n",
    ],
    ids=["header", "quote", "end of line", "quote in rates", "long", "blank"],
)
def test_what_is_no_csv_is_refused_with_its_file(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError) as refused:
        read(write(tmp_path, "t.csv", content))
    assert all(fault.file.endswith("t.csv") for fault in refused.value.faults)


def test_a_gzip_file_that_is_spoilt_from_its_first_byte_on_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"arrival,input_tokens,output_tokens\n" * 200))
    packed[10] ^= 0xFF  # the first of the packed bytes, after the header
    path = tmp_path / "t.csv.gz"
    path.write_bytes(packed)
    with pytest.raises(InputError, match=r"t\.csv\.gz:1: cannot be unpacked: "):
        read(path)
