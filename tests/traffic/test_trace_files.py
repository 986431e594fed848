"""Files of traces: what is read, and what is said of bad ones."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from milp_planner import InputError, Trace, TraceColumns, load_problem
from milp_planner.traffic.digest import digest, hour_rates
from milp_planner.traffic.month import make_schedule
from milp_planner.traffic.sources import opening as traffic_trace
from milp_planner.traffic.trace import read_requests
from tests.support.examples import tries
from tests.support.traffic_builders import (
    AZURE_HEADER,
    HEADER,
    faults,
    problem,
    refusal,
    sizes,
    trace,
    write,
)

# Traces: reading


def test_both_headers_and_gzip_are_read_alike(tmp_path):
    plain = write(tmp_path, [(0, 10, 1), (61.5, 30, 2)])
    azure = write(
        tmp_path,
        [("2023-11-16 18:17:03.9799600", 10, 1), ("2023-11-16 18:18:05.4799600", 30, 2)],
        AZURE_HEADER,
        "azure.csv",
    )
    packed = tmp_path / "packed"  # known by its bytes, not by its name
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    read = [read_requests(path) for path in (plain, azure, packed)]
    for one in read:
        assert (one.arrival_s - one.arrival_s[0]).tolist() == pytest.approx([0, 61.5])
        assert one.input_tokens.tolist() == [10, 30]
        assert one.output_tokens.tolist() == [1, 2]
    assert [one.has_timestamps for one in read] == [False, True, False]
    assert len({one.sha256 for one in read}) == 3


def test_columns_may_be_named_and_others_are_ignored(tmp_path):
    path = write(tmp_path, [("x", 3, 20, 1.5)], "note,out,in,at")
    columns = TraceColumns(arrival="at", input_tokens="in", output_tokens="out")
    read = read_requests(path, columns)
    assert (read.arrival_s[0], read.input_tokens[0], read.output_tokens[0]) == (1.5, 20, 3)


@pytest.mark.parametrize(
    "header", ["timestamp,contexttokens,generatedtokens", "Arrival,Input_Tokens,OUTPUT_TOKENS"]
)
def test_known_columns_are_known_in_any_case(tmp_path, header):
    read = read_requests(write(tmp_path, [(1.5, 20, 3)], header))
    assert (read.arrival_s[0], read.input_tokens[0], read.output_tokens[0]) == (1.5, 20, 3)


def test_quotes_blanks_bom_and_windows_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(
        b'\xef\xbb\xbfarrival_s, input_tokens ,output_tokens\r\n"0"," 5 ",1.0\r\n\r\n ,,\r\n9,6,2'
    )
    read = read_requests(path)
    assert read.arrival_s.tolist() == [0, 9]
    assert read.input_tokens.tolist() == [5, 6]
    assert read.output_tokens.tolist() == [1, 2]


def test_rows_need_not_be_in_order():
    arrivals = np.array([120.0, 0, 60, 20, 10])
    assert hour_rates(arrivals, 0.9) == hour_rates(np.sort(arrivals), 0.9)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ["t.csv: file is empty; its first line names the columns"]),
        (
            "0,5,1\n",
            [
                "t.csv:1: no column arrival or arrival_s or TIMESTAMP or arrival_ms or arrival_us "
                "or arrival_time; has 0, 5, 1\n"
                "  hint: name it: columns: {arrival: ...}",
                "t.csv:1: no column input_tokens or ContextTokens or input_length or Request "
                "tokens; has 0, 5, 1\n"
                "  hint: name it: columns: {input_tokens: ...}",
                "t.csv:1: no column output_tokens or GeneratedTokens or output_length or Response "
                "tokens; has 0, 5, 1\n"
                "  hint: name it: columns: {output_tokens: ...}",
            ],
        ),
        (
            "arrival,arrival_s,input_tokens,output_tokens\n0,0,5,1\n",
            [
                "t.csv:1: several columns could be arrival: arrival, arrival_s\n"
                "  hint: name one: columns: {arrival: ...}"
            ],
        ),
        (f"{HEADER}\n", ["t.csv: has no requests; give one per row"]),
        (f"{HEADER}\n0,5\n", ["t.csv:2: has 2 columns, the header has 3"]),
        (
            f"{HEADER}\n,,3\n",
            ["t.csv:2: arrival_s: required", "t.csv:2: input_tokens: required"],
        ),
        (
            f"{HEADER}\n0,5,1\n\nx,5,1\n-1,5,1\nnan,5,1\n1.7e12,5,1\n",
            [
                "t.csv:4: arrival_s: 'x' is not a number of seconds",
                "t.csv:5: arrival_s: must be at least 0 (is -1)",
                "t.csv:6: arrival_s: must be a finite number (is nan)",
                "t.csv:7: arrival_s: must be seconds, at most 1e+11 (is 1.7e12); write unit: "
                "ms or unit: us",
            ],
        ),
        (
            f"{HEADER}\nnoon,5,1\n",
            [
                "t.csv:2: arrival_s: 'noon' is neither seconds nor a timestamp such as "
                "2023-11-16T18:17:03"
            ],
        ),
        (
            f"{HEADER}\n2023-11-16,5,1\n17,5,1\n2023-11-16T00:00Z,5,1\n",
            [
                "t.csv:3: arrival_s: '17' is not a timestamp; write 2023-11-16T18:17:03",
                "t.csv:4: arrival_s: either every timestamp has a time zone or none has",
            ],
        ),
        (
            f"{HEADER}\n0,-5,1\n0,2.5,1\n0,many,1\n0,inf,1\n0,5,1e9\n",
            [
                "t.csv:2: input_tokens: must be at least 0 (is -5)",
                "t.csv:3: input_tokens: must be a whole number (is 2.5)",
                "t.csv:4: input_tokens: 'many' is not a number",
                "t.csv:5: input_tokens: must be a whole number (is inf)",
                "t.csv:6: output_tokens: must be at most 100,000,000 (is 1e9)",
            ],
        ),
        (f"{HEADER}\n0,5,0\n", ["t.csv: no request has output tokens"]),
        (f"{HEADER}\n0,5,1\n1e9,5,1\n", ["t.csv: spans 11,574 days, more than 3,660"]),
        (f"{HEADER}\n0,5,1\n0,5,\0\n", ["t.csv:3: control characters are not allowed"]),
        (f'{HEADER}\n0,5,"1\n', ["t.csv:2: not valid CSV: unexpected end of data"]),
        (f"{HEADER}\n{'9' * 70_000},5,1\n", ["t.csv:2: the line is longer than 65,536 bytes"]),
    ],
)
def test_what_is_wrong_in_a_trace_is_said_with_its_line(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(content)
    assert faults(read_requests, Path("t.csv")) == said


def test_text_that_is_not_utf8_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_bytes(HEADER.encode() + b"\n0,5,1\n0,\xff,1\n")
    assert faults(read_requests, Path("t.csv")) == ["t.csv:3: not UTF-8 text"]


def test_reading_stops_after_a_hundred_faults(tmp_path):
    path = write(tmp_path, [(-1, 5, 1)] * 100_000)
    said = faults(read_requests, path)
    assert len(said) == 101
    assert said[-1] == f"{path}:101: reading stopped after 100 faults"


def test_a_broken_archive_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packed = gzip.compress(f"{HEADER}\n0,5,1\n".encode())
    Path("t.csv").write_bytes(packed[:-9])
    (said,) = faults(read_requests, Path("t.csv"))
    assert "cannot be unpacked: Compressed file ended" in said


def test_a_small_archive_of_a_huge_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(traffic_trace, "MOST_BYTES", 1_000_000)
    bomb = gzip.compress(HEADER.encode() + b"\n" + b"0,5,1\n" * 200_000)
    assert len(bomb) < 10_000
    Path("t.csv").write_bytes(bomb)
    (said,) = faults(read_requests, Path("t.csv"))
    assert said.startswith("t.csv:16")
    assert said.endswith("is larger than 500 MB; sample it and set scale")


def test_files_and_lines_are_limited(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, [(0, 5, 1)] * 9, name="t.csv").relative_to(tmp_path)
    monkeypatch.setattr(traffic_trace, "MOST_LINES", 5)
    assert faults(read_requests, path) == [
        "t.csv:6: has more than 5 lines; sample it and set scale"
    ]
    monkeypatch.setattr(traffic_trace, "MOST_BYTES", 20)
    assert faults(read_requests, path) == ["t.csv: is larger than 500 MB; sample it and set scale"]


def test_a_file_that_cannot_be_read_is_faulted_where_it_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    write(tmp_path, [(0, 5, 1)], name="conv.csv")
    asked = problem(trace("cnv.csv", "a"), trace("sub", "b"), trace("a\0b", "c"))
    assert faults(make_schedule, asked) == [
        "workloads[0].traffic.file: cnv.csv: file not found\n  hint: did you mean conv.csv?",
        "workloads[1].traffic.file: sub: is a directory; give one CSV file",
        r"workloads[2].traffic.file: 'a\x00b' is not a file name",
    ]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (said,) = faults(read_requests, tmp_path / "pipe")
    assert "is not a regular file; give one CSV file" in said


def test_requests_beside_a_trace_are_refused(tmp_path):
    path = write(tmp_path, [(0, 5, 1)])
    both = {**trace(path), "requests": sizes(1, 1)}
    assert faults(make_schedule, problem(both)) == [
        "workloads[0].requests: a trace brings its own request classes\n  hint: remove requests"
    ]


def test_a_trace_is_relative_to_the_file_of_its_problem(tmp_path, monkeypatch):
    folder = tmp_path / "problems"
    folder.mkdir()
    write(folder, [(0, 5, 1), (60, 7, 2)])
    file = folder / "p.yaml"
    text = (
        "schema_version: 1\nworkloads:\n- name: chat\n  llm: tiny\n"
        "  traffic: {kind: trace, file: trace.csv, percentile: 95%}\n"
    )
    file.write_text(text)
    monkeypatch.chdir(tmp_path)
    schedule = make_schedule(load_problem("problems/p.yaml"))
    assert schedule.demands["chat"].trace.file == str(Path("problems/trace.csv"))
    file.write_text(text.replace("trace.csv", "race.csv"))
    assert faults(make_schedule, load_problem("problems/p.yaml")) == [
        "problems/p.yaml:5:32: workloads[0].traffic.file: problems/race.csv: file not found\n"
        "  hint: did you mean problems/trace.csv?"
    ]
    monkeypatch.chdir(folder)
    from_standard_input = load_problem("-", text=text)
    assert make_schedule(from_standard_input).demands["chat"].trace.file == "trace.csv"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("percentile", 0, "greater than 0"),
        ("percentile", 99, "must be at most 1 (is 99)"),
        ("scale", 0, "greater than 0"),
        ("classes", 0, "must be at least 1 (is 0)"),
        ("classes", 101, "must be at most 100 (is 101)"),
        ("file", "", "file: must not be empty"),
        ("columns", {"input": "x"}, "columns.input: unknown key"),
    ],
)
def test_a_trace_that_cannot_be_is_refused(field, value, said):
    assert said in refusal(**{"kind": "trace", "file": "x", field: value})


def test_a_changed_file_is_read_again(tmp_path):
    path = write(tmp_path, [(0, 5, 1)])
    first = digest(path, Trace(file="x"))
    assert digest(path, Trace(file="x")) is first
    write(tmp_path, [(0, 5, 1), (1, 5, 1)])
    assert digest(path, Trace(file="x")).requests == 2


CELLS = ["0", "5", "-1", "1e5", "nan", "inf", "1e400", "1_0", "٣", "x", "", '"', "\r", "1" * 5000]
CELLS += ["2023-11-16", "0001-01-01", "9999-12-31T23:59:59+14:00"]


@tries(1.5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.lists(
            st.lists(
                st.sampled_from(CELLS),
                min_size=2,
                max_size=4,
            ),
            max_size=8,
        ).map(lambda rows: "\n".join([HEADER, *map(",".join, rows)]).encode()),
    ),
    st.booleans(),
)
def test_any_bytes_are_a_trace_or_an_input_error(tmp_path, content, packed):
    path = tmp_path / "fuzz"
    path.write_bytes(gzip.compress(content) if packed else content)
    try:
        schedule = make_schedule(problem(trace(path)))
    except InputError:
        pass
    else:
        assert schedule.demands["trace"].highest_peak > 0
