"""`python -m batchbrew.caffe SCRIPT.py ...`: old pycaffe scripts on PyTorch."""

import sys

from batchbrew.caffe.runner import main

if __name__ == "__main__":
    main(sys.argv[1:])
