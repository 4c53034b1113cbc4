"""Long series of losses made fit to be drawn."""

import numpy as np
from numpy.typing import NDArray

from batchbrew.training.training_log import Series

Numbers = NDArray[np.float64]
MOST_POINTS = 400  # of a curve; more are drawn as means, over a band from lowest to highest


def top_of(losses: Numbers) -> float:
    """Where to end the axis: the first losses, and those before a divergence, must not flatten the rest."""
    if not len(losses):
        return 0.0
    most, usual = float(losses.max()), 8 * float(np.median(losses))
    return 1.05 * (most if most <= usual else max(float(np.percentile(losses, 95)), float(losses[-1])))


def thinned(series: Series, most: int = MOST_POINTS) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Iterations, means, minima and maxima of at most `most` stretches; nan where one has a lost number."""
    at = np.asarray(series.iterations, dtype=np.float64)
    values = np.asarray(series.values, dtype=np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    if len(values) <= most:
        return at, values, values, values
    starts = np.linspace(0, len(values), most, endpoint=False).astype(np.int64)
    counts = np.diff(np.append(starts, len(values)))
    mean = np.add.reduceat(values, starts) / counts
    middle = np.add.reduceat(at, starts) / counts
    return middle, mean, np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
