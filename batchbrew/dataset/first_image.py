"""The size of the first image that a Data or ImageData layer reads: Caffe shapes the whole net by it."""

from pathlib import Path

from batchbrew.dataset.images import ImageError, check_header, decode_stored, read_image_bytes
from batchbrew.dataset.reader import LmdbReader, parse_datum, shown_key
from batchbrew.dataset.shards import is_lmdb
from batchbrew.errors import InputError
from batchbrew.nets.shapes import SourceImage
from batchbrew.proto import caffe_pb2 as pb

COLOURS, GREY = 3, 1


def first_image(layer: pb.LayerParameter) -> SourceImage | None:
    """None if the source is not there, or is a LevelDB, which is not read here; sources are seen from here.

    Raises InputError if it is there and cannot be read.
    """
    if layer.type == "Data":
        source = Path(layer.data_param.source)
        return _first_record(source, layer.transform_param) if is_lmdb(source) else None
    if layer.type == "ImageData" and Path(layer.image_data_param.source).is_file():
        return _first_listed(layer.image_data_param)
    return None


def _first_record(source: Path, transform: pb.TransformationParameter) -> SourceImage:
    with LmdbReader(source) as reader:
        key, value = next(iter(reader.items()))
    try:
        datum = parse_datum(value)
        if not datum.encoded:
            return SourceImage(datum.channels, datum.height, datum.width)
        header = check_header(datum.data)
        if transform.force_color or transform.force_gray:
            channels = COLOURS if transform.force_color else GREY
        else:
            channels = decode_stored(datum.data).shape[2]
    except ImageError as error:
        raise InputError(f"{source}: record {shown_key(key)} {error}") from error
    return SourceImage(channels, header.height, header.width)


def _first_listed(parameter: pb.ImageDataParameter) -> SourceImage | None:
    """Without the layer's own resizing; None if the list's first image is not there."""
    with Path(parameter.source).open("rb") as lines:
        line = lines.readline().decode("utf-8", "surrogateescape").rstrip("\r\n")
    # Caffe joins the two without a slash, and cuts the line at its last space.
    image = Path(parameter.root_folder + line.rpartition(" ")[0])
    if not image.is_file():
        return None
    try:
        header = check_header(read_image_bytes(image))
    except ImageError as error:
        raise InputError(f"{parameter.source}: its first image, {image}, {error}") from error
    return SourceImage(COLOURS if parameter.is_color else GREY, header.height, header.width)
