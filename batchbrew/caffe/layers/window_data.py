"""WindowData: boxes of images for detection, objects and background, drawn by chance (R-CNN)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batchbrew.caffe.data.batch_layer import BatchLayer
from batchbrew.caffe.data.normalisation import read_mean
from batchbrew.caffe.data.randomness import draws, new_seed
from batchbrew.caffe.data.staging import Numbers
from batchbrew.caffe.data.warping import Cut, cut_out
from batchbrew.caffe.data.window_file import CHANNELS, Window, read_windows
from batchbrew.caffe.layer import layer
from batchbrew.caffe.memory_limit import MemoryLimit
from batchbrew.dataset.images import ImageError, decode, read_image_bytes
from batchbrew.errors import InputError
from batchbrew.nets.shapes.network import answer_for, check_tops
from batchbrew.nets.shapes.registry import Known, Refusal, by
from batchbrew.proto import caffe_pb2 as pb

MODES = ("warp", "square")


class WindowBatches:
    """Batches of windows, background first; N×3×S×S and N labels. Pixels outside of the image are 0."""

    def __init__(self, param: pb.WindowDataParameter, transform: pb.TransformationParameter) -> None:
        self._param = param
        self._side = int(transform.crop_size)
        self._mirror = bool(transform.mirror)
        self._mean = _mean(transform, self._side)
        windows = read_windows(param)
        self._windows = windows
        self._objects = int(np.float32(param.batch_size) * np.float32(param.fg_fraction))
        if not windows.foreground and self._objects:
            raise Refusal(
                f"finds no foreground window in {param.source}: lower its fg_threshold or fg_fraction"
            )
        if not windows.background and self._objects < param.batch_size:
            raise Refusal(
                f"finds no background window in {param.source}: raise its bg_threshold or fg_fraction"
            )
        self._files = {image: _content(image) for image in windows.images} if param.cache_images else {}
        self._seed = new_seed()

    def batch(self, number: int) -> list[Numbers]:
        """Batch `number`, from 0."""
        size = self._param.batch_size
        MemoryLimit().check(size * CHANNELS * self._side**2)
        data = np.zeros((size, CHANNELS, self._side, self._side), np.float32)
        labels = np.empty(size, np.float32)
        chances = draws(2 * size, self._seed, number).reshape(size, 2)
        for item, chance in enumerate(chances):
            shows_object = item >= size - self._objects
            windows = self._windows.foreground if shows_object else self._windows.background
            window = windows[int(chance[0]) % len(windows)]
            self._write(window, bool(self._mirror and chance[1] & 1), data[item])
            labels[item] = window.label
        return [Numbers(data), Numbers(labels)]

    def _write(self, window: Window, mirror: bool, out: NDArray[np.float32]) -> None:
        param = self._param
        content = self._files.get(window.image) or _content(window.image)
        try:
            image = decode(content)
            square = param.crop_mode == "square"
            part, cut = cut_out(image, window, self._side, param.context_pad, square, mirror)
        except ImageError as error:
            raise InputError(f"image {window.image} of {param.source} {error}") from error
        place = _place(out, cut)
        # As in Caffe the mean belongs to the square and not to the image, and the scale is window_data_param's.
        np.subtract(part.transpose(2, 0, 1), _place(self._mean, cut), out=place)
        place *= np.float32(param.scale)


def _place(square: NDArray[np.float32], cut: Cut) -> NDArray[np.float32]:
    return square[:, cut.top : cut.top + cut.height, cut.left : cut.left + cut.width]


def _content(image: str) -> bytes:
    try:
        return read_image_bytes(Path(image))
    except ImageError as error:
        raise InputError(f"image {image} {error}") from error


def _mean(transform: pb.TransformationParameter, side: int) -> NDArray[np.float32]:
    """What is subtracted, 3×S×S: the middle of the mean image, or mean values, or nothing."""
    if transform.mean_file and transform.mean_value:
        raise Refusal("has both mean_file and mean_value: keep one")
    if transform.mean_file:
        mean = read_mean(transform.mean_file)
        first = (mean.shape[2] - side) // 2  # Caffe takes it from the width for both axes
        if len(mean) != CHANNELS or first < 0 or first + side > mean.shape[1]:
            raise Refusal(
                f"has the mean_file {transform.mean_file} of {by(mean.shape)}: 3 channels that hold crop_size {side} "
                "are expected"
            )
        return mean[:, first : first + side, first : first + side]
    values = list(transform.mean_value) or [0.0]
    if len(values) not in (1, CHANNELS):
        raise Refusal(f"has {len(values)} mean_value: give one, or one for each of {CHANNELS} channels")
    column = np.array(values, np.float32)[:, None, None]
    return np.broadcast_to(column, (CHANNELS, side, side))


@layer("WindowData")
class WindowData(BatchLayer):
    """Of each batch, fg_fraction are windows with objects; which ones is drawn by chance."""

    def open_source(self, tops: int) -> WindowBatches:
        """Read the window file."""
        param, transform = self.layer_param.window_data_param, self.layer_param.transform_param
        if not param.source:
            raise Refusal("has no source: name a window file in window_data_param")
        if not transform.crop_size:
            raise Refusal("crop_size must be given in transform_param: the side to which boxes are warped")
        self._check(param, transform.crop_size)
        check_tops(self.layer_param, answer_for(self.layer_param, [], tops, Known()).tops)
        return WindowBatches(param, transform)

    @staticmethod
    def _check(param: pb.WindowDataParameter, side: int) -> None:
        if param.crop_mode not in MODES:
            raise Refusal(f"has crop_mode {param.crop_mode!r}: there are {' and '.join(MODES)}")
        if not 0 <= param.fg_fraction <= 1:
            raise Refusal(f"has fg_fraction {param.fg_fraction:g}: it is a share of the batch, from 0 to 1")
        if 2 * param.context_pad >= side:
            raise Refusal(
                f"has context_pad {param.context_pad} on both sides of crop_size {side}: nothing is left between"
            )
