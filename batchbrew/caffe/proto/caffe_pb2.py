"""`caffe.proto.caffe_pb2` is the module batchbrew.proto.caffe_pb2: one set of message classes, not two."""

import sys
from typing import TYPE_CHECKING

from batchbrew.proto import caffe_pb2

if TYPE_CHECKING:
    from batchbrew.proto.caffe_pb2 import *  # noqa: F403

sys.modules[__name__] = caffe_pb2
