"""What `batchbrew lmdb ...` does, a file a command; the command line only forwards to here.

All raise InputError (one line) when the work is not done.
"""

import contextlib

import cv2

# OpenCV's own lines name no file; what is wrong with a picture is said by us.
with contextlib.suppress(AttributeError):  # of old versions
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
