"""Environment variables with which a process of the torch engine is fast; they count only before it starts."""

from collections.abc import Mapping

# glibc gives large tensors back to the kernel when they are freed, and the next ones are made of fresh pages, each
# zeroed again: five times the work of a ReLU. These have it keep its memory, and ask for large pages.
MALLOC_VARIABLES = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
MALLOC_TUNABLES = {"MALLOC_MMAP_MAX_": "mmap_max", "MALLOC_TRIM_THRESHOLD_": "trim_threshold"}
HUGE_PAGES = "glibc.malloc.hugetlb"
TUNABLES = "GLIBC_TUNABLES"

# How often a thread of OpenMP looks whether there is work before it sleeps. So often bridges the half millisecond
# from one layer's work to the next. GCC's default goes on for ten times as long: on a quiet machine that gains nothing,
# on a busy one it doubles the time, as it takes the cores from those that have work. With 1,000 a busy machine gains as
# much again, but a quiet one loses a tenth.
SPIN_COUNT = ("GOMP_SPINCOUNT", "30000")
OTHER_WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def fast_environment(given: Mapping[str, str]) -> dict[str, str]:
    """What to add to the environment `given`; what is set in it, under whatever name, stays."""
    tunables = given.get(TUNABLES, "")
    added = {
        name: value
        for name, value in MALLOC_VARIABLES.items()
        if name not in given and f"glibc.malloc.{MALLOC_TUNABLES[name]}=" not in tunables
    }
    if f"{HUGE_PAGES}=" not in tunables:
        added[TUNABLES] = ":".join(filter(None, [tunables, f"{HUGE_PAGES}=1"]))
    if not any(name in given for name in OTHER_WAITING):
        added |= dict([SPIN_COUNT])
    return added
