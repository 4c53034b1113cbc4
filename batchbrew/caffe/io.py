"""caffe.io: images, arrays and Caffe's messages."""

from batchbrew.caffe.images.conversion import (
    array_to_blobproto,
    array_to_datum,
    arraylist_to_blobprotovector_str,
    blobproto_to_array,
    blobprotovector_str_to_arraylist,
    datum_to_array,
)
from batchbrew.caffe.images.pictures import load_image, oversample
from batchbrew.caffe.images.resizing import resize_image
from batchbrew.caffe.images.transformer import Transformer
from batchbrew.caffe.proto import caffe_pb2  # so that `import caffe` alone gives caffe.proto, as in pycaffe

__all__ = [
    "Transformer",
    "array_to_blobproto",
    "array_to_datum",
    "arraylist_to_blobprotovector_str",
    "blobproto_to_array",
    "blobprotovector_str_to_arraylist",
    "caffe_pb2",
    "datum_to_array",
    "load_image",
    "oversample",
    "resize_image",
]
