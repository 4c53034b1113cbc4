"""caffe.Classifier: class probabilities of photographs."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchbrew.caffe.images.pictures import oversample as ten_crops
from batchbrew.caffe.images.resizing import resize_image
from batchbrew.caffe.images.transformer import Transformer
from batchbrew.caffe.mode import TEST
from batchbrew.caffe.net import Net
from batchbrew.errors import InputError


def input_transformer(
    net: Net, mean: Any = None, input_scale: Any = None, raw_scale: Any = None, channel_swap: Any = None
) -> Transformer:
    """A Transformer of H×W×K images for the first input of `net`. Raises InputError if it has none for images."""
    if not net.inputs or len(net.blobs[net.inputs[0]].shape) != 4:
        raise InputError(f"network {net.name!r} has no input of N×C×H×W images: give a deploy prototxt")
    name = net.inputs[0]
    transformer = Transformer({name: net.blobs[name].shape})
    transformer.set_transpose(name, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(name, mean)
    if input_scale is not None:
        transformer.set_input_scale(name, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(name, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(name, channel_swap)
    return transformer


class Classifier(Net):
    """A net in TEST phase for photographs: scaled to `image_dims` (height, width), by default the net's input,
    cropped to the net's input, and transformed as `transformer` is set (see caffe.io.Transformer).
    """

    def __init__(
        self,
        model_file: str | Path,
        pretrained_file: str | Path,
        image_dims: Sequence[int] | None = None,
        mean: Any = None,
        input_scale: Any = None,
        raw_scale: Any = None,
        channel_swap: Any = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = input_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        given = image_dims is not None and len(image_dims) > 0  # which may be an array
        self.image_dims: Any = image_dims if given else self.crop_dims

    def predict(self, inputs: Iterable[NDArray[Any]], oversample: bool = True) -> NDArray[np.float32]:
        """The net's first output for each H×W×K image: N×C.

        With `oversample` the mean over ten crops of it (corners, centre, mirrored), else of its centre. Raises
        InputError on images that do not fit to the net.
        """
        images = list(inputs)
        if not images:
            raise InputError("predict needs at least one image")
        scaled = np.stack([resize_image(image, self.image_dims) for image in images])
        crops = ten_crops(scaled, self.crop_dims) if oversample else self._centre(scaled)
        name = self.inputs[0]
        batch = np.stack([self.transformer.preprocess(name, crop) for crop in crops])
        inputs_by_name: dict[str, Any] = {name: batch}
        predictions = self.forward_all(**inputs_by_name)[self.outputs[0]]
        if oversample:
            predictions = predictions.reshape(len(images), 10, -1).mean(1)
        return predictions

    def _centre(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = (int(side) for side in self.crop_dims)
        rows, columns = images.shape[1:3]
        if height > rows or width > columns:
            raise InputError(
                f"image_dims are {rows}×{columns}, smaller than the net's input of {height}×{width}"
            )
        top, left = int(rows / 2 - height / 2), int(columns / 2 - width / 2)
        return images[:, top : top + height, left : left + width]
