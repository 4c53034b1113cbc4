"""The engine's log on standard error, line for line what Caffe writes through glog.

Each message names the file and line that it has in BVLC Caffe 1.0, which some readers of logs look for. As in pycaffe,
it is on from the start; GLOG_minloglevel=1 or more in the environment, or init_log(1), turns it off.
"""

import math
import os
import re
import sys
import threading
from datetime import datetime

from google.protobuf import text_format
from google.protobuf.message import Message

from batchbrew.caffe import mode
from batchbrew.glog import Severity, glog_prefix

_WHOLE_FLOAT = re.compile(r"^( *\w+: -?\d+)\.0$", re.MULTILINE)
_INFO = 0
_LEVELS: dict[Severity, int] = {"I": _INFO, "W": 1, "E": 2}


def _level_of_environment() -> int:
    try:
        return int(os.environ.get("GLOG_minloglevel", "0"))  # noqa: SIM112  (glog spells it so)
    except ValueError:
        return _INFO


_level = _level_of_environment()


def init_log(level: int = _INFO, stderr: bool = True) -> None:
    """Write messages of at least `level` (0 information, 1 warnings, 2 errors) from now on.

    They always go to standard error; without `stderr`, real Caffe puts them into files in the folder for temporaries.
    """
    global _level
    _level = level


def log(message: str) -> None:
    """Write a line of one's own."""
    _write("I", message, "_caffe.cpp:68")


def is_on() -> bool:
    """Would `info` write? To spare the work for long messages."""
    return _level <= _INFO and mode.is_root_solver()


def info(source: str, message: str) -> None:
    """Write a message as from `source` (FILE:LINE); of several solvers that train together, only the first does."""
    if is_on():
        _write("I", message, source)


def warning(source: str, message: str) -> None:
    """The same for what a user should look at."""
    if mode.is_root_solver():
        _write("W", message, source)


def error(source: str, message: str) -> None:
    """The same for what Caffe writes as an error, the norms of debug_info."""
    if mode.is_root_solver():
        _write("E", message, source)


def _write(severity: Severity, message: str, source: str) -> None:
    if _level > _LEVELS[severity]:
        return
    file, line = source.split(":")
    prefix = glog_prefix(
        severity, when=datetime.now(), pid=threading.get_native_id(), source=file, line=int(line)
    )
    sys.stderr.write(prefix + message.removesuffix("\n") + "\n")
    sys.stderr.flush()


def shown(message: Message) -> str:
    """`message` as protobuf prints it in C++: fields by number, whole floats without a point."""
    return _WHOLE_FLOAT.sub(r"\1", text_format.MessageToString(message, as_utf8=True))


def number(value: float) -> str:
    """`value` as a C++ stream writes a float: six digits, 1e-05, nan or -nan, inf."""
    if math.isnan(value):
        return "-nan" if math.copysign(1, value) < 0 else "nan"
    return f"{float(value):g}"
