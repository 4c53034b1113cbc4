"""A net that cannot fit is refused before its memory is asked for, layer by layer."""

import resource
from collections.abc import Iterable
from pathlib import Path

import torch

from batchbrew.caffe import mode
from batchbrew.caffe.blob import Blob
from batchbrew.nets.shapes.registry import Refusal

BYTES_PER_NUMBER = 4
REFUSED_MEMORY = (
    "not enough memory", "can't allocate memory", "Storage size calculation overflowed",
    "CUDA error: out of memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED",
)  # fmt: skip
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def available_bytes() -> int | None:
    """What the device can still give; None where nobody tells."""
    device = mode.device()
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        # what PyTorch holds for tensors to come is not free for others
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    found = [_meminfo(), _address_space(), *map(_cgroup, CGROUP_LIMITS)]
    return min((value for value in found if value is not None), default=None)


def is_exhaustion(error: BaseException) -> bool:
    """Did the machine, or its GPU, refuse memory? Often PyTorch says so by a RuntimeError's text alone."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in REFUSED_MEMORY)


def exhausted() -> str:
    """What to tell of it."""
    available = available_bytes()
    free = "" if available is None else f" ({available / 1e9:,.1f} GB are free)"
    return f"needs more memory than there is{free}: make the net's batch or its layers smaller"


class MemoryLimit:
    """Counts what a net's blobs take, and refuses the layer with which it is more than there is."""

    def __init__(self) -> None:
        self._available = available_bytes()
        self._counted: set[int] = set()
        self._needed = 0

    def check(self, numbers: int) -> None:
        """Raises Refusal if `numbers` more would not fit."""
        if self._available is not None and self._needed + numbers * BYTES_PER_NUMBER > self._available:
            gigabytes = (self._needed + numbers * BYTES_PER_NUMBER) / 1e9
            raise Refusal(
                f"the net takes {gigabytes:,.1f} GB up to here, but {self._available / 1e9:,.1f} GB of memory are "
                "free: make its batch or its layers smaller"
            )

    def add(self, *groups: Iterable[Blob]) -> None:
        """Count blobs, each once. Raises Refusal where they do not fit.

        On a GPU they are taken for bfloat16 where that is the precision, though some are not: what does not fit there
        all the same, PyTorch refuses.
        """
        halved = mode.device().type == "cuda" and mode.factor_type() == torch.bfloat16
        for blob in (blob for group in groups for blob in group):
            if id(blob) not in self._counted:
                self._counted.add(id(blob))
                numbers = blob.count // 2 if halved else blob.count
                self.check(numbers)
                self._needed += numbers * BYTES_PER_NUMBER


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def _address_space() -> int | None:
    """What `ulimit -v` leaves to this process."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return max(0, limit - pages * resource.getpagesize())


def _cgroup(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None
