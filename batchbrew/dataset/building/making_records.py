"""From an entry of a source to what the writer gets of it."""

from dataclasses import dataclass, field

from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.images import ImageError
from batchbrew.dataset.making import Made, make
from batchbrew.dataset.pixel_budget import PixelBudget
from batchbrew.dataset.sources import Source

UNKNOWN_BYTES = 2**20  # of a file whose size is not known before it is read


@dataclass(frozen=True)
class Maker:
    """What threads do with the entries of a source, which they share."""

    source: Source
    options: ImageOptions
    budget: PixelBudget = field(default_factory=PixelBudget)

    def make(self, index: int) -> Made | ImageError:
        """Entry `index` as a Datum, or why it cannot be used."""
        path, label = self.source.entries[index]
        try:
            return make(self.source.read(index), path, label, self.options, self.budget)
        except ImageError as error:
            return error

    def input_bytes(self, index: int) -> int:
        """What is held of entry `index` while it is worked on, besides its pixels."""
        size = self.source.size(index)
        return UNKNOWN_BYTES if size is None else size


def made_bytes(made: Made | ImageError) -> int:
    """What a result takes while it waits to be written."""
    return len(made.datum) if isinstance(made, Made) else 0
