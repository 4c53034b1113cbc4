"""What data layers name: LMDBs, lists, folders, mean files; and the order of the images."""

from collections.abc import Iterator
from pathlib import Path

from batchbrew.lint.image_contents import is_leveldb, source_of
from batchbrew.lint.registry import Fault, NetCase, net_rule
from batchbrew.lint.views import View
from batchbrew.proto import caffe_pb2 as pb

LMDB_FILE = "data.mdb"
LMDB_ENDINGS = ("_lmdb", ".lmdb")


def _layers(case: NetCase) -> Iterator[tuple[View, pb.LayerParameter]]:
    for view in case.views:
        for layer in view.layers:
            yield view, layer


@net_rule(
    "source-missing",
    "error",
    "an LMDB, list, HDF5 list or mean file that is not there, or cannot be read",
    why="Caffe ends when it opens it; it sees paths from the folder in which it is started.",
)
def source_missing(case: NetCase) -> Iterator[Fault]:
    """Real Caffe: "No such file or directory" (LMDB), "File is empty" (image list), "Failed to open" (HDF5)."""
    for _, layer in _layers(case):
        for path in filter(None, (source_of(layer), layer.transform_param.mean_file)):
            if not Path(path).exists():
                yield Fault(
                    layer,
                    f"{path} does not exist, seen from {Path.cwd()}",
                    "build it, mend the path, or start from the folder that the path begins in",
                )
        problem = case.sources.problem(layer)
        if problem is not None:
            yield Fault(layer, problem, "build it anew, or name another")


@net_rule(
    "backend",
    "error",
    "backend that does not fit the database",
    why="Caffe's default is LEVELDB, and it ends when it opens an LMDB as LevelDB: Failed to open leveldb.",
)
def backend(case: NetCase) -> Iterator[Fault]:
    """For a database that is not there its name tells, where it can."""
    for _, layer in _layers(case):
        if layer.type != "Data":
            continue
        path, parameter = layer.data_param.source, layer.data_param
        says_lmdb = parameter.backend == pb.DataParameter.LMDB
        is_lmdb = (Path(path) / LMDB_FILE).exists() or (
            not Path(path).exists() and path.rstrip("/").endswith(LMDB_ENDINGS)
        )
        if is_lmdb and not says_lmdb:
            said = "backend is LEVELDB" if parameter.HasField("backend") else "no backend is given"
            yield Fault(layer, f"{said}, but {path} is an LMDB", "write backend: LMDB into data_param")
        elif says_lmdb and is_leveldb(path):
            yield Fault(
                layer,
                f"backend is LMDB, but {path} is a LevelDB",
                "write backend: LEVELDB into data_param",
                why="Caffe ends when it opens it.",
            )


@net_rule(
    "root-folder",
    "warning",
    "root_folder without a slash at its end",
    why="Caffe puts it in front of each path as it is: imagesa.jpg, not images/a.jpg.",
)
def root_folder(case: NetCase) -> Iterator[Fault]:
    """Real Caffe: "Could not load". Quiet where the list's first path is there without a slash."""
    for _, layer in _layers(case):
        root = layer.image_data_param.root_folder
        if not root or root.endswith("/"):
            continue
        contents = case.sources.contents(layer)
        first = contents.first_path if contents is not None else ""
        if first and Path(root + first).exists():
            continue
        certain = bool(first) and (Path(root) / first).exists()
        yield Fault(
            layer,
            f"root_folder is {root}"
            + (f", which makes {root}{first} of the list's first path" if first else ""),
            f'write root_folder: "{root}/"',
            severity="error" if certain else None,
        )


@net_rule(
    "train-order",
    "warning",
    "training images that are not shuffled",
    why="Batches of one class after the other: the net forgets each class while it learns the next, and BatchNorm's "
    "statistics swing with it.",
)
def train_order(case: NetCase) -> Iterator[Fault]:
    """A list without `shuffle` is read in the same order in every epoch; an LMDB always is (data_reader)."""
    view = case.training
    for layer in view.image_layers if view is not None else []:
        contents = case.sources.contents(layer)
        ordered = contents is not None and contents.ordered
        if layer.type == "ImageData" and not layer.image_data_param.shuffle:
            yield Fault(
                layer,
                f"{layer.image_data_param.source} is not shuffled"
                + (", and sorted by label" if ordered else ""),
                "write shuffle: true into image_data_param",
                why="" if ordered else "Each epoch sees the same batches in the same order.",
            )
        elif layer.type == "Data" and ordered:
            yield Fault(
                layer,
                f"{layer.data_param.source} is sorted by label, and Caffe never shuffles a database",
                "build it shuffled: batchbrew lmdb build does, convert_imageset with -shuffle",
            )


@net_rule(
    "test-shuffle",
    "note",
    "shuffle: true in TEST",
    why="Where a test does not see each image once, shuffled tests see different images each time.",
)
def test_shuffle(case: NetCase) -> Iterator[Fault]:
    """The released definitions have it here and there: over a whole set it changes nothing."""
    for view, layer in _layers(case):
        if not view.training and (layer.image_data_param.shuffle or layer.hdf5_data_param.shuffle):
            yield Fault(layer, "it shuffles the test images", "write shuffle: false")
