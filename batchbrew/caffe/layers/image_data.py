"""ImageData: image files that a list names."""

from batchbrew.caffe.data.image_list import ListedImages
from batchbrew.caffe.data.images import ImageBatches
from batchbrew.caffe.data.order import Order
from batchbrew.caffe.data.ordered_layer import ImageLayer
from batchbrew.caffe.data.randomness import draws, new_seed
from batchbrew.caffe.data.transformer import DataTransformer
from batchbrew.caffe.layer import layer
from batchbrew.nets.shapes.registry import Refusal


@layer("ImageData")
class ImageData(ImageLayer):
    """Files in the list's order, or with `shuffle: true` in one drawn anew for each round.

    `rand_skip: n` leaves out up to n - 1 files of the first round.
    """

    def open_images(self, labelled: bool) -> ImageBatches:
        """Read the list."""
        param = self.layer_param.image_data_param
        if not param.source:
            raise Refusal("has no source: name a list of images in image_data_param")
        store = ListedImages(param)
        transformer = DataTransformer(self.layer_param.transform_param, self.phase)
        seed = new_seed() if param.shuffle else None
        first = int(draws(1, new_seed())[0]) % param.rand_skip if param.rand_skip else 0
        if first >= store.count:
            raise Refusal(
                f"skips {first} images by rand_skip {param.rand_skip}, but {param.source} lists {store.count}: "
                "make rand_skip smaller"
            )
        order = Order(store.count, first=first, seed=seed)
        return ImageBatches(store, transformer, order, param.batch_size, labelled)
