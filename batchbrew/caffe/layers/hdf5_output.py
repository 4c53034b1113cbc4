"""HDF5Output: writes its two bottoms to an HDF5 file."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import h5py

from batchbrew.atomic import write_file
from batchbrew.caffe.blob import LEGACY_AXES, Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.errors import InputError
from batchbrew.nets.shapes.registry import Refusal


@layer("HDF5Output")
class HDF5Output(StandardLayer):
    """Data sets `data` and `label`, of four axes each; they are those of one forward pass, as in Caffe."""

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Check the file's name."""
        super().setup(bottom, top)
        if not self.layer_param.hdf5_output_param.file_name:
            raise Refusal("has no file_name: name the file to write in hdf5_output_param")
        self._written = False

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Write the file; what it held before is replaced at once. Caffe ends at a second pass, this refuses it."""
        path = self.layer_param.hdf5_output_param.file_name
        if self._written:
            raise Refusal(
                f"has written {path} already: it holds one forward pass, so take its numbers from the net's blobs, or "
                "build the net anew under another file_name"
            )
        content = BytesIO()
        with h5py.File(content, "w") as file:
            for name, blob in zip(("data", "label"), bottom, strict=True):
                file.create_dataset(name, data=blob.data.reshape(_four_axes(blob)))
        try:
            write_file(Path(path), content.getvalue())
        except InputError as error:
            raise Refusal(str(error)) from error
        self._written = True

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Nothing to propagate."""


def _four_axes(blob: Blob) -> tuple[int, ...]:
    if len(blob.shape) > LEGACY_AXES:
        raise Refusal(f"has a bottom of shape {blob.shape}: it writes blobs of up to {LEGACY_AXES} axes")
    return blob.shape + (1,) * (LEGACY_AXES - len(blob.shape))
