"""Labels as losses and accuracies read them: whole numbers, one for each place, some of them perhaps ignored."""

from dataclasses import dataclass

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.nets.shapes.registry import Refusal, Shape
from batchbrew.proto import caffe_pb2 as pb


@dataclass(frozen=True)
class Labels:
    """`classes`: the class at each place, 0 at those that are ignored. `kept`: which are not; None: all are kept.

    `flaw` is None, or a number to add to results: 0, or nan if a label is no class. It is for GPUs, where a refusal
    would have the host wait for each batch.
    """

    classes: Tensor
    kept: Tensor | None
    flaw: Tensor | None

    def reshape(self, shape: Shape) -> "Labels":
        """The same labels, laid out as `shape`."""
        kept = None if self.kept is None else self.kept.reshape(shape)
        return Labels(self.classes.reshape(shape), kept, self.flaw)

    def marked(self, result: Tensor) -> Tensor:
        """`result`, nan if a label is no class."""
        return result if self.flaw is None else result + self.flaw

    def kept_count(self) -> int | Tensor:
        """At how many places a label counts."""
        return self.classes.numel() if self.kept is None else self.kept.sum()


def read_labels(bottom: Blob, name: str, class_count: int, ignored: int | None = None) -> Labels:
    """The labels in `bottom`, whose name is `name`; fractions are cut off towards 0, as C++ does.

    Raises Refusal on the CPU for a label that is neither one of the classes nor `ignored`: Caffe would read beyond
    its memory.
    """
    found = bottom.data_tensor
    classes = found.long()
    kept = None if ignored is None else classes != ignored
    wrong = ~((found > -1) & (found < class_count))  # of the fractions, which may be nan
    if kept is not None:
        wrong = wrong & kept
    flaw = None
    if _is_far(found):
        flaw = torch.where(wrong.any(), torch.nan, 0.0)
        classes = classes.clamp(0, class_count - 1)
    elif bool(wrong.any()):
        raise Refusal(_refusal(found[wrong][0].item(), name, class_count, ignored))
    if kept is not None:
        classes = torch.where(kept, classes, 0)
    return Labels(classes, kept, flaw)


def ignored_label(parameter: pb.LossParameter | pb.AccuracyParameter) -> int | None:
    """The label that does not count, if there is one."""
    return parameter.ignore_label if parameter.HasField("ignore_label") else None


def _is_far(tensor: Tensor) -> bool:
    """Would the host have to wait for these numbers?"""
    return tensor.device.type != "cpu"


def _refusal(label: float, name: str, class_count: int, ignored: int | None) -> str:
    beside = "" if ignored is None else f" (and {ignored}, which is ignored)"
    return (
        f"finds label {label:g} in bottom {name}, but knows {class_count} classes, 0 to {class_count - 1}{beside}: "
        "correct the labels, or give the layer that makes the scores an output for each class"
    )
