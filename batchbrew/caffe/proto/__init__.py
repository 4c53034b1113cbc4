"""Caffe's messages under pycaffe's name: `from caffe.proto import caffe_pb2`, or `caffe.proto.caffe_pb2`."""

from batchbrew.caffe.proto import caffe_pb2

__all__ = ["caffe_pb2"]
