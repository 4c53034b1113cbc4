"""What loss layers have in common: no gradient for labels, and a divisor."""

from collections.abc import Sequence

from torch import Tensor

from batchbrew.caffe.layer import StandardLayer
from batchbrew.nets.shapes.axes import legacy_shape
from batchbrew.nets.shapes.registry import Refusal, Shape
from batchbrew.proto import caffe_pb2 as pb

LOG_THRESHOLD = 1e-20  # loss_layer.hpp, kLOG_THRESHOLD: the least probability whose logarithm is taken


class LossLayer(StandardLayer):
    """A layer whose first top is a loss; its weight is in that top's diff. Bottom 1 has labels."""

    def allow_force_backward(self, index: int) -> bool:
        """Labels are spared."""
        return index != 1

    def refuse_label_gradient(self, propagate_down: Sequence[bool]) -> None:
        """Raises Refusal if any bottom but the first is to have a gradient."""
        for index, asked in enumerate(propagate_down):
            if asked and index:
                raise Refusal(
                    f"cannot backpropagate to label inputs: bottom {self.layer_param.bottom[index]} must not come from "
                    "layers that learn; or write a propagate_down for each bottom, false for that one"
                )


def normalizer(normalization: int, images: int, places: int, kept: int | Tensor) -> float | Tensor:
    """What a loss is divided by: `places` are those that have a label, `kept` the number not ignored; 1 at least."""
    if normalization == pb.LossParameter.VALID:
        return kept.clamp(min=1) if isinstance(kept, Tensor) else max(1, kept)
    modes = pb.LossParameter
    divisors: dict[int, int] = {modes.FULL: places, modes.BATCH_SIZE: images, modes.NONE: 1}
    return max(1, divisors[normalization])


def normalization_of(parameter: pb.LossParameter, default: int) -> int:
    """The mode that `parameter` asks for: an old `normalize` counts where there is no `normalization`."""
    if parameter.HasField("normalization"):
        return parameter.normalization
    if parameter.HasField("normalize"):
        return pb.LossParameter.VALID if parameter.normalize else pb.LossParameter.BATCH_SIZE
    return default


def image_count(shape: Shape) -> int:
    """The first of four axes. Raises Refusal for more of them, as Caffe does."""
    return legacy_shape(shape)[0]
