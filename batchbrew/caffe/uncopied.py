"""What the copy module, pickle and multiprocessing are refused, as by pycaffe."""

from typing import NoReturn, SupportsIndex

from batchbrew.errors import InputError


class CopyError(InputError, RuntimeError):
    """A RuntimeError, as pycaffe's."""


class Uncopied:
    """The base of nets, solvers, layers and blobs: they share memory with others, which a copy would not."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Raises CopyError."""
        raise CopyError(
            f"a {type(self).__name__} cannot be copied, pickled, or sent to another process: build another one of the "
            "same prototxt, and have it copy_from or share_with; for numbers alone use blob.data.copy()"
        )
