"""The decision that a training diverged, from its losses alone.

A diverged Caffe run shows one of: a loss that is nan or inf; a loss stuck at 87.3365, which is -log of the
smallest normal float (what SoftmaxWithLoss gives an image whose label got probability zero); or a jump from
a learned state to the loss of guessing, ln(classes), and beyond.
"""

import math
import statistics
from collections import deque
from dataclasses import dataclass, field

from batchbrew.proto import caffe_pb2
from batchbrew.proto.text import read_prototxt

# SoftmaxWithLoss clips probabilities at FLT_MIN, so no image's loss is above this (softmax_loss_layer.cpp).
LOSS_CEILING = -math.log(1.17549435e-38)
WINDOW_ITERS = 50
BEGINNING_ITERS = 5
# An untrained net with batch normalisation starts at ln(classes), and a high rate can double that for a while. One
# without may start far above, and comes down.
HOPELESS_FACTOR = 5.0
LEARNED_FACTOR = 0.6


@dataclass
class DivergenceDetector:
    """Watches one attempt's losses; `observe` returns the reason once the attempt has diverged.

    `classes` is the number of classes of the loss (None where unknown: then only nan, inf and the ceiling
    count), `loss_weight` the sum of the net's loss weights (above 1 in nets with auxiliary classifiers; 0 where
    the loss is no mean of softmax losses: then only nan and inf count).
    """

    classes: int | None = None
    loss_weight: float = 1.0
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_ITERS))
    _best_median: float = math.inf
    _beginning: float = math.inf  # the loss that this attempt began with

    def observe(self, loss: float) -> str | None:
        """Take the loss of the next iteration; return why this is a divergence, or None."""
        if not math.isfinite(loss):
            return f"loss = {loss}"
        if self.loss_weight > 0 and loss >= 0.999 * LOSS_CEILING * self.loss_weight:
            return f"loss = {loss:.4f}, the largest that SoftmaxWithLoss can give"
        self._recent.append(loss)
        if len(self._recent) == BEGINNING_ITERS and math.isinf(self._beginning):
            self._beginning = statistics.median(self._recent)
        if (
            self.loss_weight <= 0
            or self.classes is None
            or self.classes < 2
            or len(self._recent) < WINDOW_ITERS
        ):
            return None
        return self._judge_median(statistics.median(self._recent))

    def _judge_median(self, median: float) -> str | None:
        assert self.classes is not None
        guessing = math.log(self.classes) * self.loss_weight
        if median > HOPELESS_FACTOR * guessing and median > HOPELESS_FACTOR / 2 * self._beginning:
            return f"loss = {median:.4f} (median of {WINDOW_ITERS}), {median / guessing:.1f} times that of guessing"
        if median >= guessing and self._best_median < LEARNED_FACTOR * guessing:
            return (
                f"loss = {median:.4f} (median of {WINDOW_ITERS}) is back at that of guessing, "
                f"{guessing:.4f}, after {self._best_median:.4f}"
            )
        self._best_median = min(self._best_median, median)
        return None


def loss_is_a_mean(solver: caffe_pb2.SolverParameter) -> bool:
    """Whether every loss of the solver's training net is a mean over what it judges, as is Caffe's default.

    A sum (`normalization: NONE`, or per image in a net that judges pixels) has neither a ceiling nor a known
    value of guessing. Old nets write `normalize: false` for BATCH_SIZE (loss_layer.cpp).
    """
    net = read_prototxt(solver.net or solver.train_net, caffe_pb2.NetParameter)
    losses = [layer.loss_param for layer in (*net.layer, *net.layers) if layer.HasField("loss_param")]
    sums = (caffe_pb2.LossParameter.NONE, caffe_pb2.LossParameter.BATCH_SIZE)
    return not any(
        loss.normalization in sums
        or (loss.HasField("normalize") and not loss.normalize and not loss.HasField("normalization"))
        for loss in losses
    )
