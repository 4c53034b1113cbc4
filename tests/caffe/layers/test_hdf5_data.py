"""HDF5Data and HDF5Output: the same rows as real Caffe reads, and a file like the one that it writes."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

from batchbrew.caffe import mode
from batchbrew.caffe.layer import LayerError
from batchbrew.caffe.layers.hdf5_data import HDF5Data
from batchbrew.proto import caffe_pb2 as pb
from tests.caffe.layers.engines import Case, in_ours, in_real_caffe, make

LENGTHS = (5, 3, 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files whose rows tell what they are: `flat` is 10·file + row."""
    folder = tmp_path_factory.mktemp("hdf5")
    for number, rows in enumerate(LENGTHS):
        with h5py.File(folder / f"{number}.h5", "w") as file:
            file["flat"] = np.arange(rows) + 10 * number  # int64
            file["deep"] = np.random.default_rng(number).normal(size=(rows, 2, 1, 3, 2))  # float64, five axes
            file["half"] = np.random.default_rng(number).normal(size=(rows, 4)).astype(np.float16)
            file["small"] = (np.arange(rows, dtype=np.uint8) * 60).reshape(rows, 1, 1, 1)
    (folder / "list").write_text("\n".join(f"{folder}/{number}.h5" for number in range(3)))
    (folder / "one").write_text(f"{folder}/0.h5\n")
    return folder


@pytest.fixture
def solvers() -> Iterator[None]:
    yield
    mode.set_solver_count(1)
    mode.set_solver_rank(0)


def layer(source: Path, batch: int, tops: str = "flat", param: str = "") -> str:
    named = " ".join(f'top: "{top}"' for top in tops.split())
    return (
        f'layer {{ name: "rows" type: "HDF5Data" {named} '
        f'hdf5_data_param {{ source: "{source}" batch_size: {batch} {param} }} }}'
    )


def cases(folder: Path) -> list[Case]:
    every = "deep flat half small"
    return [
        Case("files", layer(folder / "list", 4, every), passes=7),
        Case("whole", layer(folder / "list", 25), passes=2),  # each row more than once in a batch
        Case("one", layer(folder / "one", 3, every), passes=4),
        *(
            Case(f"rank_{rank}_{phase}", layer(folder / "list", 3), 6, phase, 5, rank)
            for rank in (0, 3)
            for phase in (pb.TRAIN, pb.TEST)
        ),
    ]


def test_rows_are_exactly_caffes(caffe_python: Path, folder: Path, solvers: None) -> None:
    real = in_real_caffe(caffe_python, cases(folder), folder)
    for case in cases(folder):
        mode.set_solver_count(case.solvers)
        mode.set_solver_rank(case.rank)
        ours = in_ours(case, folder)
        assert ours.keys() == real[case.name].keys()
        for blob, expected in real[case.name].items():
            assert ours[blob].shape == expected.shape
            assert np.array_equal(ours[blob], expected), (case.name, blob)


def rows(folder: Path, passes: int, param: str, seed: int | None = None, skip: int = 0) -> list[list[int]]:
    net = make(folder, layer(folder / "list", 6, param=param))
    reader = net.layers[0]
    assert isinstance(reader, HDF5Data)
    if seed is not None:
        reader.shuffle(seed)
    reader.skip(skip)
    return [net.forward()["flat"].astype(int).tolist() for _ in range(passes)]


def test_shuffled_rounds_hold_each_row_once_file_by_file(folder: Path) -> None:
    mode.set_random_seed(1)
    batches = rows(folder, 20, "shuffle: true")
    rounds = [batches[index] + batches[index + 1] for index in range(0, 20, 2)]  # of 12 rows
    every = sorted(number * 10 + row for number, length in enumerate(LENGTHS) for row in range(length))
    assert all(sorted(each) == every for each in rounds)
    assert len({tuple(each) for each in rounds}) == 10
    files = [[value // 10 for value in each] for each in rounds]
    assert all(sum(a != b for a, b in pairwise(each)) == 2 for each in files)  # one file after another
    assert len({tuple(dict.fromkeys(each)) for each in files}) > 2


def test_shuffling_by_a_seed_can_be_repeated_and_taken_up_anywhere(folder: Path) -> None:
    once = rows(folder, 9, "", seed=4)
    assert rows(folder, 9, "", seed=4) == once != rows(folder, 9, "", seed=5)
    assert rows(folder, 2, "", seed=4, skip=7) == once[7:]


def test_what_is_wrong_is_told_with_layer_file_and_value(folder: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["flat"] = np.zeros((2, 3))
        file["text"] = "words"
        file["number"] = 3.0
        file["short"] = np.zeros((1, 3))
        file.create_dataset("huge", (2**40,), "f4", chunks=(1024,))  # takes no room in the file
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file["flat"] = np.zeros((0, 3))
    (tmp_path / "cut.h5").write_bytes((folder / "0.h5").read_bytes()[:900])
    for listed, tops, complaint in (
        ("other.h5", "absent", "other.h5 has no data set absent; .* it has flat, huge, number, short, text"),
        ("other.h5", "text", "its text is of type object"),
        ("other.h5", "number", "its number has 0 axes"),
        ("other.h5", "huge", "its huge is 1099511627776: Caffe's blobs hold 2,147,483,647 numbers at most"),
        ("other.h5", "flat short", "has 2 rows in flat, but 1 in short"),
        ("empty.h5", "flat", "empty.h5 has no rows"),
        ("cut.h5", "flat", "cut.h5 is not an HDF5 file, or damaged"),
        ("none.h5", "flat", "none.h5 is not there"),
        ("", "flat", "lists no HDF5 files"),
        (
            f"other.h5 {folder}/0.h5",
            "flat",
            r"0.h5 has rows of flat a single number, but .*other.h5 has flat 3:",
        ),
    ):
        names = [str(tmp_path / name) if not name.startswith("/") else name for name in listed.split()]
        (tmp_path / "list").write_text("\n".join(names))
        with pytest.raises(LayerError, match=rf"layer rows \(HDF5Data\): .*{complaint}"):
            make(tmp_path, layer(tmp_path / "list", 2, tops))
    good = layer(folder / "list", 2)
    for wrong, complaint in (
        (good.replace("batch_size: 2", "batch_size: 0"), "batch_size must be given"),
        (
            good.replace("hdf5_data_param", "transform_param { scale: 2 } hdf5_data_param"),
            "are not transformed",
        ),
        (good.replace("/list", "/nowhere"), "nowhere cannot be read"),
        (good.replace("batch_size: 2", "batch_size: 4000000000"), "too large"),
    ):
        with pytest.raises(LayerError, match=rf"layer rows \(HDF5Data\): .*{complaint}"):
            make(tmp_path, wrong)


OUTPUT = """
layer { name: "in" type: "DummyData" top: "data" top: "label"
  dummy_data_param { data_filler { value: 2.5 } shape { dim: 3 dim: 2 dim: 4 } shape { dim: 3 } } }
layer { name: "out" type: "HDF5Output" bottom: "data" bottom: "label" hdf5_output_param { file_name: "FILE" } }
"""


def test_output_file_is_as_caffes(caffe_python: Path, tmp_path: Path) -> None:
    in_real_caffe(
        caffe_python, [Case("net", OUTPUT.replace("FILE", str(tmp_path / "real.h5")), passes=1)], tmp_path
    )
    ours = make(tmp_path, OUTPUT.replace("FILE", str(tmp_path / "ours.h5")))
    ours.forward()
    with h5py.File(tmp_path / "real.h5") as real, h5py.File(tmp_path / "ours.h5") as written:
        assert sorted(real) == sorted(written) == ["data", "label"]
        for name in real:
            assert real[name].dtype == written[name].dtype == np.float32
            assert written[name].shape == real[name].shape
            assert np.array_equal(real[name][:], written[name][:])
    with pytest.raises(LayerError, match=r"layer out \(HDF5Output\): has written .*ours.h5 already"):
        ours.forward()


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    net = make(tmp_path, OUTPUT.replace("FILE", str(tmp_path / "file" / "out.h5")))
    with pytest.raises(LayerError, match=r"layer out \(HDF5Output\): .*cannot be written"):
        net.forward()
    with pytest.raises(LayerError, match="has no file_name"):
        make(tmp_path, OUTPUT.replace("FILE", ""))
