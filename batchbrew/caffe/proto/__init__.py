"""Caffe's messages under pycaffe's name: `from caffe.proto import caffe_pb2`."""
