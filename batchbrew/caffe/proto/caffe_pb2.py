"""`caffe.proto.caffe_pb2` is the module batchbrew.proto.caffe_pb2: one set of message classes, not two."""

import sys

from batchbrew.proto import caffe_pb2

sys.modules[__name__] = caffe_pb2
