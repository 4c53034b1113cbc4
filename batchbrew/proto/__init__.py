"""Caffe's wire format: messages (`caffe_pb2`), prototxt (`text`) and binary files (`binary`)."""
