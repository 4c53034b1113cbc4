"""caffe.Detector: a classifier for windows of photographs (R-CNN, Girshick et al., arXiv 1311.2524)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from batchbrew.caffe.classifier import input_transformer
from batchbrew.caffe.images.pictures import load_image
from batchbrew.caffe.images.resizing import resize_image
from batchbrew.caffe.mode import TEST
from batchbrew.caffe.net import Net
from batchbrew.errors import InputError

Windows = Iterable[Sequence[int]]


class Detector(Net):
    """A net in TEST phase for windows: each is warped to the net's input, and transformed as `transformer` is set.

    With `context_pad` the window fills the input but for so many pixels on each side, which show what is around it;
    beyond the photograph they are the mean.
    """

    context_pad: int | None
    crop_mean: NDArray[Any]

    def __init__(
        self,
        model_file: str | Path,
        pretrained_file: str | Path,
        mean: Any = None,
        input_scale: Any = None,
        raw_scale: Any = None,
        channel_swap: Any = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = input_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(self, images_windows: Iterable[tuple[str | Path, Windows]]) -> list[dict[str, Any]]:
        """The net's first output for each window of each image file.

        A window is (ymin, xmin, ymax, xmax) in pixels, the last two not included. Gives a dict for each, with
        `filename`, `window` and `prediction`. Raises InputError.
        """
        given = [(name, list(windows)) for name, windows in images_windows]
        crops = []
        for name, windows in given:
            image = load_image(name) if windows else None
            crops += [self.crop(image, window) for window in windows if image is not None]
        if not crops:
            return []
        input_name = self.inputs[0]
        batch = np.stack([self.transformer.preprocess(input_name, crop) for crop in crops])
        inputs: dict[str, Any] = {input_name: batch}
        predictions = self.forward_all(**inputs)[self.outputs[0]]
        pairs = [(name, window) for name, windows in given for window in windows]
        return [
            {"window": window, "prediction": prediction, "filename": name}
            for (name, window), prediction in zip(pairs, predictions, strict=True)
        ]

    def detect_selective_search(self, image_fnames: Iterable[str | Path]) -> list[dict[str, Any]]:
        """Refused: pycaffe has Matlab find the windows."""
        raise InputError(
            "detect_selective_search runs selective search in Matlab, which is not supported: find windows with "
            "cv2.ximgproc.segmentation (opencv-contrib-python) or another tool, and give them to detect_windows"
        )

    def crop(self, im: NDArray[Any], window: ArrayLike) -> NDArray[np.float32]:
        """A window (ymin, xmin, ymax, xmax) of an H×W×K image, with context if that is set.

        Raises InputError if nothing of the window is in the image.
        """
        box = np.asarray(window)
        if box.shape != (4,) or not np.isfinite(box).all():
            raise InputError(f"{window!r} is no window: give ymin, xmin, ymax, xmax")
        top, left, bottom, right = (int(side) for side in box)
        height, width = im.shape[:2]
        if not (0 <= top < min(bottom, height) and 0 <= left < min(right, width)):
            raise InputError(
                f"window {top}, {left}, {bottom}, {right} has no pixel in an image of {height}×{width}"
            )
        if not self.context_pad:
            return im[top:bottom, left:right]
        return self._crop_with_context(im, box.astype(np.float64))

    def _crop_with_context(self, im: NDArray[Any], box: NDArray[np.float64]) -> NDArray[np.float32]:
        size = self.blobs[self.inputs[0]].shape[-1]  # pycaffe: "assumes square"
        assert self.context_pad
        scale = size / (size - self.context_pad * 2)
        half = (box[2:] - box[:2] + 1) / 2
        centre = box[:2] + half
        box = np.round(np.concatenate([centre - scale * half, centre + scale * half]))
        zoom = size / (box[2:] - box[:2] + 1)
        pads = [round(pad) for pad in np.maximum(0, -box[:2]) * zoom]  # what is beyond the upper left edge
        box = np.clip(box, 0, [*im.shape[:2], *im.shape[:2]])
        sides = [
            min(round(side), size - pad)
            for side, pad in zip((box[2:] - box[:2] + 1) * zoom, pads, strict=True)
        ]
        top, left, bottom, right = box.astype(int)
        context = resize_image(im[top:bottom, left:right], (sides[0], sides[1]))
        crop = np.ones(self.crop_dims, np.float32) * self.crop_mean
        crop[pads[0] : pads[0] + sides[0], pads[1] : pads[1] + sides[1]] = context
        return np.asarray(crop, np.float32)

    def configure_crop(self, context_pad: int | None) -> None:
        """Set how much context a crop shows, in pixels of the net's input. Raises InputError if that is all of it."""
        name = self.inputs[0]
        channels, height, width = self.blobs[name].shape[1:]
        if context_pad and not 0 < 2 * context_pad < min(height, width):
            raise InputError(f"context_pad {context_pad} leaves nothing of an input of {height}×{width}")
        if context_pad and height != width:
            raise InputError(f"context_pad is for square inputs alone; that of the net is {height}×{width}")
        self.crop_dims = np.array((height, width, channels))
        self.context_pad = context_pad
        if self.context_pad:
            self.crop_mean = self._mean_of_images()

    def _mean_of_images(self) -> NDArray[Any]:
        """The mean as H×W×K in the photographs' own order and range, as the Transformer's steps before it undone."""
        name, transformer = self.inputs[0], self.transformer
        mean = transformer.mean.get(name)
        if mean is None:
            return np.zeros(self.crop_dims, np.float32)
        mean = (mean if mean.ndim == 3 else mean[np.newaxis]).transpose(1, 2, 0).astype(np.float32)
        swap = transformer.channel_swap.get(name)
        if swap is not None and mean.shape[2] == len(swap):
            mean = mean[:, :, np.argsort(swap)]
        return mean if transformer.raw_scale.get(name) is None else mean / transformer.raw_scale[name]
