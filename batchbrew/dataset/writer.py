"""Moved: batchbrew.dataset.building, .parallel and .progress have what was here."""

from batchbrew.dataset.parallel import default_workers
from batchbrew.dataset.progress import Progress

__all__ = ["Progress", "default_workers"]
