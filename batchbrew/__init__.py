"""BatchBrew: Caffe's batch-normalised ImageNet networks, from photographs to a caffemodel."""

__version__ = "0.1.0"
