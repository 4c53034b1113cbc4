"""What a builder frees of pictures stays with its process, and only that."""

import os
import subprocess
import sys

import pytest

FREED = """
import ctypes, os, resource, sys
from batchbrew.dataset.allocator import keep_freed_pictures
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


@pytest.mark.parametrize(
    ("megabytes", "variables", "stays"),
    [("1", {}, True), ("6", {}, False), ("1", {"MALLOC_TRIM_THRESHOLD_": "131072"}, False)],
    ids=["pictures", "larger", "user's"],
)
def test_freed_pictures_stay(megabytes: str, variables: dict[str, str], stays: bool) -> None:
    ours = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
    environment = {name: value for name, value in os.environ.items() if name not in ours} | variables
    command = [sys.executable, "-c", FREED, megabytes]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert (int(done.stdout) < 3) is stays  # of 30 or 180
