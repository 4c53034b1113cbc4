"""What `batchbrew lmdb ...` does, a file a command; the command line only forwards to here.

All raise InputError (one line) when the work is not done.
"""
