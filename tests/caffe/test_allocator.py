"""What a script under `python -m batchbrew.caffe` frees stays with its process."""

import os
import subprocess
import sys

import pytest

FREED = """
import os, ctypes
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
malloc, free, memset = (getattr(ctypes.CDLL(None), name) for name in ("malloc", "free", "memset"))
malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
before = resident()
block = malloc(200 << 20)
memset(block, 1, 200 << 20)
free(block)
print(resident() - before)
"""


@pytest.mark.parametrize(
    ("variables", "stays"),
    [({}, True), ({"MALLOC_TRIM_THRESHOLD_": "131072"}, False)],
    ids=["told", "user's"],
)
def test_freed_memory_stays(variables: dict[str, str], stays: bool) -> None:
    ours = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
    environment = {name: value for name, value in os.environ.items() if name not in ours} | variables
    command = [sys.executable, "-m", "batchbrew.caffe", "-c", FREED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert (int(done.stdout) > 150) is stays
