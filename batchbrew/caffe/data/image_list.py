"""Image files that a text file lists: ImageData's source."""

import os
import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from batchbrew.caffe.data.images import Label
from batchbrew.caffe.data.transformer import Pixels
from batchbrew.dataset.images import MAX_PIXELS, decode, decode_grey, read_image_bytes
from batchbrew.errors import InputError
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb

LABEL = re.compile(rb"[+-]?[0-9]{1,10}")
MAX_LABEL = 2**31 - 1


class ListedImages:
    """Files named in a list, decoded and resized as image_data_param says (ReadImageToCVMat of io.cpp).

    Raises InputError for a list that cannot be read, Refusal for an absurd new size.
    """

    def __init__(self, param: pb.ImageDataParameter) -> None:
        if param.new_height * param.new_width > MAX_PIXELS:
            raise Refusal(
                f"has new_height {param.new_height} and new_width {param.new_width}: at most {MAX_PIXELS:,} "
                "pixels are decoded"
            )
        self._param = param
        self._files, self._labels = read_image_list(Path(param.source))
        self.count = len(self._files)

    def read(self, index: int) -> tuple[Pixels, Label]:
        """The image of a line, from 0, and its label. Raises ImageError."""
        return self._pixels(read_image_bytes(Path(self._path(index)))), int(self._labels[index])

    def name(self, index: int) -> str:
        """Path and line."""
        return f"image {self._path(index)}, line {index + 1} of {self._param.source},"

    def _path(self, index: int) -> str:
        # the root is put in front as it is, without a slash
        return str(self._param.root_folder + os.fsdecode(self._files[index]))

    def _pixels(self, content: bytes) -> Pixels:
        image = decode(content) if self._param.is_color else decode_grey(content)
        if self._param.new_height and self._param.new_width:
            return resized(image, self._param.new_height, self._param.new_width)
        return image


def resized(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """`image` (H×W×C), scaled bilinearly as Caffe has OpenCV do it, however much smaller it becomes."""
    scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(scaled, np.uint8).reshape(height, width, image.shape[2])


def read_image_list(path: Path) -> tuple[list[bytes], NDArray[np.int32]]:
    """Paths and labels. As in Caffe a line is cut at its last space, so that paths may have some.

    Raises InputError for a line that is no path, space and whole number, and for an empty list.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"its source {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a zero byte in the name
        raise InputError(f"its source {path} cannot be read: {error}") from error
    if not lines[-1]:
        lines.pop()  # behind the last line's end
    files: list[bytes] = []
    labels = np.empty(len(lines), np.int32)
    for number, line in enumerate(lines):
        file, _, label = line.rstrip(b"\r").rpartition(b" ")
        if not file or not LABEL.fullmatch(label) or abs(int(label)) > MAX_LABEL:
            shown = line[:80].decode("utf-8", "replace")
            raise InputError(
                f"{path}, line {number + 1}: {shown!r} is not a path, a space and a whole number"
            )
        files.append(file)
        labels[number] = int(label)
    if not files:
        raise InputError(f"{path} lists no images: write a line for each, its path, a space and its label")
    return files, labels
