"""glog's line prefix, read and written: `I1205 15:13:16.035574 15676 solver.cpp:48] message`."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Severity = Literal["I", "W", "E", "F"]

# The date is MMDD, or YYYYMMDD from glog 0.5 on. The thread id is padded to 5 columns; macOS has longer ones.
_PREFIX = re.compile(
    r"([IWEF])(?:\d{4})?(\d{4} \d\d:\d\d:\d\d\.\d{6}) +(\d{1,20}) ([^\s\]]+):(\d{1,9}) ?\] ?",
)
_RANK = re.compile(r"\[(\d{1,9})\] ?")


@dataclass(frozen=True, slots=True)
class GlogLine:
    """One line of a glog file. `stamp` is `MMDD hh:mm:ss.uuuuuu`, local time; `rank` is an MPI rank or 0."""

    severity: str
    stamp: str
    pid: int
    source: str
    line: int
    message: str
    rank: int = 0


def parse_glog(line: str) -> GlogLine | None:
    """Split a line, or None where there is no prefix in it.

    What stands before the prefix is dropped: time stamps of container tools, or what a killed process wrote
    last without ending its line. `[3] ` there is the rank that MPI launchers put before each line.
    """
    line = line.rstrip("\r\n")
    match = _prefix(line)
    if match is None:
        return None
    severity, stamp, pid, source, number = match.groups()
    message = line[match.end() :]
    return GlogLine(severity, stamp, int(pid), source, int(number), message, _rank(line, match))


def rank_and_message(line: str) -> tuple[int, str]:
    """`parse_glog` for those in a hurry; a line without prefix is all message."""
    match = _prefix(line)
    return (_rank(line, match), line[match.end() :]) if match else (0, line)


def _prefix(line: str) -> re.Match[str] | None:
    match = _PREFIX.match(line)
    if match is None or line.find("] ", match.end()) >= 0:
        for last in _PREFIX.finditer(line):
            match = last
    return match


def _rank(line: str, prefix: re.Match[str]) -> int:
    rank = _RANK.match(line, 0, prefix.start()) if prefix.start() else None
    return int(rank[1]) if rank else 0


def glog_line(
    severity: Severity, message: str, *, when: datetime, pid: int, source: str = "batchbrew", line: int = 0
) -> str:
    """A line as glog would write it, without the line's end; line breaks in `message` become spaces."""
    prefix = glog_prefix(severity, when=when, pid=pid, source=source, line=line)
    return prefix + " ".join(message.splitlines())


def glog_prefix(severity: Severity, *, when: datetime, pid: int, source: str, line: int) -> str:
    """What stands before a message; of a message of several lines, before its first alone."""
    return f"{severity}{when:%m%d %H:%M:%S.%f} {pid:5d} {source}:{line}] "
