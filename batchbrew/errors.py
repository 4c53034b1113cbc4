"""What a user is told when something he gave, or his machine, cannot be worked with."""


class BatchBrewError(Exception):
    """Its text is one line: what was wrong, the offending value, the remedy. Commands print it and exit 1."""


class InputError(BatchBrewError):
    """A file, an option or a data set that cannot be used as it is."""


class EngineError(BatchBrewError):
    """A Caffe engine that is missing, cannot start, or ended in the middle of its work."""
