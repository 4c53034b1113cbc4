"""What a builder frees of pictures stays with its process, and only that; what a pycaffe script frees stays."""

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

OURS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
PICTURES = """
import ctypes, os, resource, sys
from batchbrew.allocator import keep_freed_pictures
malloc, free, memset = (getattr(ctypes.CDLL(None), name) for name in ("malloc", "free", "memset"))
malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
size = int(sys.argv[1]) << 20

def picture():
    blocks = [malloc(size) for _ in range(3)]
    for block in blocks:
        memset(block, 1, size)
    for block in blocks:
        free(block)

keep_freed_pictures()
picture()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    picture()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * os.sysconf("SC_PAGE_SIZE") >> 20)
"""
TENSORS = """
import ctypes, os
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


def run(command: Sequence[str], variables: dict[str, str]) -> int:
    """The number that it prints."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS} | variables
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return int(done.stdout)


@pytest.mark.parametrize(
    ("megabytes", "variables", "stays"),
    [("1", {}, True), ("6", {}, False), ("1", {"MALLOC_TRIM_THRESHOLD_": "131072"}, False)],
    ids=["pictures", "larger", "user's"],
)
def test_freed_pictures_stay(megabytes: str, variables: dict[str, str], stays: bool) -> None:
    command = [sys.executable, "-c", PICTURES, megabytes]
    assert (run(command, variables) < 3) is stays  # of 30 or 180


@pytest.mark.parametrize(
    ("variables", "stays"),
    [({}, True), ({"MALLOC_TRIM_THRESHOLD_": "131072"}, False)],
    ids=["told", "user's"],
)
def test_freed_tensors_stay(variables: dict[str, str], stays: bool) -> None:
    command = [sys.executable, "-m", "batchbrew.caffe", "-c", TENSORS]
    assert (run(command, variables) > 150) is stays
