"""The machine, its GPU, and what computes on it. Fails where the GPU that is asked for is not there."""

import importlib.util
from importlib import metadata
from typing import Any

from measuring import machine

from gpu_check.settings import Settings

PACKAGES = ("torch", "torchvision", "triton", "numpy", "opencv-python-headless", "lmdb", "h5py", "protobuf")
GIGABYTE = 1 << 30
Found = dict[str, Any]


def run(settings: Settings) -> Found:
    """What there is. Raises EngineError without the GPU."""
    found: Found = {"processor": machine(), "packages": {name: _version(name) for name in PACKAGES}}
    if settings.gpu is not None:
        found["gpu"] = _gpu(settings.gpu)
    return found


def _gpu(number: int) -> Found:
    import torch  # which takes seconds

    from batchbrew.caffe import mode

    mode.set_device(number)
    mode.set_mode_gpu()
    properties = torch.cuda.get_device_properties(number)
    free, total = torch.cuda.mem_get_info(number)
    return {
        "name": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_gb": round(total / GIGABYTE, 1),
        "free_memory_gb": round(free / GIGABYTE, 1),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        module = package.replace("-python-headless", "").replace("opencv", "cv2")
        return "unknown" if importlib.util.find_spec(module) else None


def faults(found: Found) -> list[str]:
    """There are none."""
    return []


def lines(found: Found) -> list[str]:
    """For the screen."""
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items() if version)
    gpu = found.get("gpu")
    told = [found["processor"], packages]
    if gpu:
        told.append(
            f"{gpu['name']}, {gpu['memory_gb']} GB ({gpu['free_memory_gb']} free), compute capability "
            f"{gpu['compute_capability']}, CUDA {gpu['cuda']}, cuDNN {gpu['cudnn']}"
        )
    return told
