"""The layers through which images come in: `data` is N×3×crop×crop, BGR, 0..255; `label` is N numbers."""

from dataclasses import dataclass
from typing import Literal

from batchbrew.nets.netspec import NetBuilder
from batchbrew.proto import caffe_pb2 as pb

SourceKind = Literal["lmdb", "list"]

DATA, LABEL = "data", "label"


@dataclass(frozen=True)
class DataSource:
    """Where images are read from, and how many at a time.

    `path` is an LMDB of Datum, or a text file of lines `relative/path.jpg 17`; `image_root` is put before
    each of that file's paths.
    """

    path: str
    kind: SourceKind
    batch_images: int
    image_root: str = ""


@dataclass(frozen=True)
class Mean:
    """What is subtracted from every image: `values` (B, G, R), or, if there are none, the mean image in `file`."""

    values: tuple[float, ...] = ()
    file: str = ""

    def __str__(self) -> str:
        """As a sentence may go on with it."""
        if self.values:
            return f"B, G, R = {', '.join(format(value, 'g') for value in self.values)}"
        return f"the mean image {self.file}"


# Of ILSVRC12's training images, in whole numbers, as is common; BVLC and He et al. subtract a mean image, the VGG
# team 103.939, 116.779, 123.68.
ILSVRC12_MEAN = Mean((104, 117, 123))


def data_layer(
    net: NetBuilder, source: DataSource, crop: int, phase: pb.Phase, mean: Mean | None = None
) -> str:
    """Read `source` in `phase`: in TRAIN a random crop, mirrored or not, in TEST the centre."""
    training = phase == pb.TRAIN
    transform = pb.TransformationParameter(mirror=training, crop_size=crop)
    if mean is not None and mean.values:
        transform.mean_value.extend(mean.values)
    elif mean is not None:
        transform.mean_file = mean.file
    rule = [pb.NetStateRule(phase=phase)]
    if source.kind == "lmdb":
        # Caffe's Data layer never shuffles: an LMDB has to be written in random order.
        data = pb.DataParameter(
            source=source.path, batch_size=source.batch_images, backend=pb.DataParameter.LMDB
        )
        return net.add(
            "data", "Data", tops=[DATA, LABEL], include=rule, transform_param=transform, data_param=data
        )
    images = pb.ImageDataParameter(
        source=source.path,
        batch_size=source.batch_images,
        shuffle=training,
        root_folder=_with_slash(source.image_root),
    )
    return net.add(
        "data",
        "ImageData",
        tops=[DATA, LABEL],
        include=rule,
        transform_param=transform,
        image_data_param=images,
    )


def input_layer(net: NetBuilder, crop: int) -> str:
    """One image, put into blob `data` by whoever uses the network."""
    shape = pb.BlobShape(dim=[1, 3, crop, crop])
    return net.add("data", "Input", tops=[DATA], input_param=pb.InputParameter(shape=[shape]))


def _with_slash(folder: str) -> str:
    """Caffe joins root_folder and path without a slash between them."""
    return folder if not folder or folder.endswith("/") else folder + "/"
