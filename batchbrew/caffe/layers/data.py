"""Data: images from an LMDB."""

from pathlib import Path

from batchbrew.caffe.data.datums import DatumStore
from batchbrew.caffe.data.images import ImageBatches
from batchbrew.caffe.data.order import Order, share_in
from batchbrew.caffe.data.ordered_layer import ImageLayer
from batchbrew.caffe.data.transformer import DataTransformer
from batchbrew.caffe.layer import layer
from batchbrew.dataset.shards import is_lmdb
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb


@layer("Data")
class Data(ImageLayer):
    """Records of an LMDB in the order of their keys, from the first on, round and round; `rand_skip` is ignored, as in
    Caffe. A folder of LMDBs is one set, in the order of their names.

    What Caffe's layer lacks: `shuffle(seed)`. Where several solvers train, they take records in turn.
    """

    def open_images(self, labelled: bool) -> ImageBatches:
        """Open the LMDB, or the set of them."""
        param = self.layer_param.data_param
        source = Path(param.source)
        if not param.source:
            raise Refusal("has no source: name the folder of an LMDB in data_param")
        if param.backend != pb.DataParameter.LMDB:
            if is_lmdb(source):
                raise Refusal(f"reads {source}, which is an LMDB: write `backend: LMDB` in data_param")
            raise Refusal(
                f"reads {source} as a LevelDB, which only BVLC Caffe can: build an LMDB of its images"
            )
        store = DatumStore(source, self.layer_param.transform_param)
        transformer = DataTransformer(self.layer_param.transform_param, self.phase)
        order = Order(store.count, share_in(self.phase))
        return ImageBatches(store, transformer, order, param.batch_size, labelled)
