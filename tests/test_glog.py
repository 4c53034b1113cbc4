"""glog's prefix: what we write is what we read."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchbrew.glog import GlogLine, Severity, glog_line, parse_glog, rank_and_message

WHEN = datetime(2026, 11, 22, 12, 0, 0)
ONE_LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]))


def test_a_line_is_written_as_glog_writes_it() -> None:
    line = glog_line("W", "Diverged", when=WHEN, pid=1234, source="supervisor.py", line=88)
    assert line == "W1122 12:00:00.000000  1234 supervisor.py:88] Diverged"


@given(
    severity=st.sampled_from(["I", "W", "E", "F"]),
    message=ONE_LINE,
    when=st.datetimes(),
    pid=st.integers(1, 4_194_304),
    number=st.integers(0, 99_999),
)
def test_every_line_of_ours_is_read_back(
    severity: Severity, message: str, when: datetime, pid: int, number: int
) -> None:
    line = glog_line(severity, message, when=when, pid=pid, line=number)
    stamp = when.strftime("%m%d %H:%M:%S.%f")
    assert parse_glog(line) == GlogLine(severity, stamp, pid, "batchbrew", number, message)
    assert rank_and_message(line) == (0, message)


def test_a_message_of_several_lines_becomes_one() -> None:
    line = glog_line("E", "engine ended\nIteration 5, lr = 1", when=WHEN, pid=1)
    assert line.endswith("] engine ended Iteration 5, lr = 1")


@pytest.mark.parametrize(
    ("line", "pid", "message"),
    [
        ("I1205 15:13:16.035574 15676 caffe.cpp:185] Using GPUs 0", 15676, "Using GPUs 0"),
        ("I20251205 15:13:16.035564 15676 file.cpp:1] Hello\r\n", 15676, "Hello"),
        ("I1207 19:58:10.862572 2113241856 solver.cpp:191] mac", 2113241856, "mac"),
        ("2017-01-01T00:00:00Z I0101 00:00:00.000001     7 net.cpp:1] docker", 7, "docker"),
        ("I1205 15:13:16.0 Iterati" + "I1205 15:13:17.000000    42 solver.cpp:48] glued", 42, "glued"),
        (
            "I1205 15:13:16.035574    41 a.cpp:1] Iteration 140 (1.3"
            "I1205 15:13:17.000000    42 solver.cpp:48] a killed run's half line before",
            42,
            "a killed run's half line before",
        ),
    ],
)
def test_prefixes_of_the_wild(line: str, pid: int, message: str) -> None:
    parsed = parse_glog(line)
    assert parsed is not None
    assert (parsed.pid, parsed.message) == (pid, message)


def test_the_rank_that_mpi_puts_before_a_line() -> None:
    parsed = parse_glog("[3] I0427 11:07:09.608289   125 net.cpp:375] Memory")
    assert parsed is not None and parsed.rank == 3


def test_lines_without_prefix() -> None:
    assert parse_glog('name: "I1205"') is None
    assert rank_and_message("Iteration 5, lr = 1") == (0, "Iteration 5, lr = 1")
