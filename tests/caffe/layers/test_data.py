"""Data: LMDBs of every kind, as real Caffe reads them."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from batchbrew.caffe import mode
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import LayerError
from batchbrew.caffe.layers.data import Data
from batchbrew.caffe.net import Net
from batchbrew.dataset.shards import shard_name
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.binary import write_binary
from batchbrew.proto.blobs import array_blob
from tests.caffe.layers.engines import Blobs, Case, in_ours, in_real_caffe, make
from tests.dataset.lmdbs import raw_datum, write_lmdb
from tests.dataset.pictures import encoded, picture, write_pictures

RECORDS = 7  # batches of 3 and 4 wrap around in the middle


def data_layer(source: Path, batch: int, transform: str = "", tops: str = 'top: "data" top: "label"') -> str:
    return (
        f'layer {{ name: "data" type: "Data" {tops} transform_param {{ {transform} }} '
        f'data_param {{ source: "{source}" backend: LMDB batch_size: {batch} }} }}'
    )


def raw(channels: int, height: int, width: int, seed: int) -> pb.Datum:
    pixels = np.random.default_rng(seed).integers(0, 256, channels * height * width, np.uint8)
    return raw_datum(channels, height, width, pixels.tobytes(), label=seed * 3)


def floats(seed: int) -> pb.Datum:
    numbers = np.random.default_rng(seed).normal(0, 100, 2 * 9 * 8).astype(np.float32)
    return pb.Datum(channels=2, height=9, width=8, float_data=numbers, label=seed)


def coded(extension: str, seed: int, grey: bool = False) -> pb.Datum:
    image = picture(40, 30, seed)
    image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8) if grey else image
    return pb.Datum(data=encoded(extension, image), encoded=True, label=seed)


def with_alpha(seed: int) -> pb.Datum:
    image = np.asarray(cv2.cvtColor(picture(20, 10, seed), cv2.COLOR_BGR2BGRA), np.uint8)
    return pb.Datum(data=encoded(".png", image), encoded=True, label=-seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    kinds = {
        "raw": [raw(3, 10, 12, seed) for seed in range(RECORDS)],
        "raw_grey": [raw(1, 6, 5, seed) for seed in range(RECORDS)],
        "floats": [floats(seed) for seed in range(RECORDS)],
        "jpeg": [coded(".jpg", seed) for seed in range(RECORDS)],
        "png": [coded(".png", seed) for seed in range(RECORDS)],
        "grey_jpeg": [coded(".jpg", seed, grey=True) for seed in range(RECORDS)],
        "grey_or_not": [coded(".png", seed, grey=seed % 2 == 0) for seed in range(RECORDS)],
        "alpha": [with_alpha(seed) for seed in range(RECORDS)],
        "sizes": [raw(3, 8 + seed, 14 - seed, seed) for seed in range(5)],
    }
    for name, values in kinds.items():
        write_lmdb(folder / name, values)
    for name, shape in (("mean", (1, 3, 10, 12)), ("jpeg_mean", (1, 3, 30, 40))):
        mean = np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)
        write_binary(folder / f"{name}.binaryproto", array_blob(mean))
    return folder


def cases(folder: Path) -> list[Case]:
    mean = f'mean_file: "{folder / "mean.binaryproto"}"'
    jpeg_mean = f'mean_file: "{folder / "jpeg_mean.binaryproto"}"'
    transforms = {
        "raw": ["", "scale: 0.00390625", "crop_size: 7", "mean_value: 104.5", mean, f"{mean} crop_size: 5 scale: 0.017",
                "mean_value: 104 mean_value: 117.25 mean_value: 123 scale: 0.3 crop_size: 10", "force_gray: true"],
        "raw_grey": ["", "force_color: true", "mean_value: 3.7 crop_size: 4"],
        "floats": ["", "scale: 1.7 mean_value: 0.1 mean_value: 0.2", "crop_size: 5"],
        "jpeg": ["", "force_gray: true", "crop_size: 27", f"{jpeg_mean} crop_size: 30 scale: 0.1"],
        "png": ["", "force_color: true crop_size: 1"],
        "grey_jpeg": ["", "force_color: true"],
        "grey_or_not": ["force_color: true", "force_gray: true"],
        "alpha": ["", "force_color: true"],
        "sizes": ["crop_size: 8"],
    }  # fmt: skip
    listed = [
        Case(f"{name}_{index}", data_layer(folder / name, 3 + index % 2, transform))
        for name, each in transforms.items()
        for index, transform in enumerate(each)
    ]
    one = data_layer(folder / "sizes", 1)
    listed.append(
        Case("sizes_one_by_one", one + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }', passes=7)
    )
    listed.append(Case("no_labels", data_layer(folder / "raw", 2, tops='top: "data"'), passes=5))
    listed.append(Case("train", data_layer(folder / "raw", 2), passes=5, phase=pb.TRAIN))
    listed += [
        Case(f"rank_{rank}_{phase}", data_layer(folder / "raw", 3), 8, phase, 3, rank)
        for rank in (0, 2)
        for phase in (pb.TRAIN, pb.TEST)
    ]
    return listed


@pytest.fixture(scope="module")
def real(caffe_python: Path, folder: Path) -> dict[str, Blobs]:
    return in_real_caffe(caffe_python, cases(folder), folder)


@pytest.fixture
def solvers() -> Iterator[None]:
    yield
    mode.set_solver_count(1)
    mode.set_solver_rank(0)


def test_every_kind_of_record_and_transform_is_exactly_caffes(
    real: dict[str, Blobs], folder: Path, solvers: None
) -> None:
    for case in cases(folder):
        mode.set_solver_count(case.solvers)
        mode.set_solver_rank(case.rank)
        ours = in_ours(case, folder)
        assert ours.keys() == real[case.name].keys()
        for blob, expected in real[case.name].items():
            assert ours[blob].shape == expected.shape, (case.name, blob)
            assert np.array_equal(ours[blob], expected), (
                case.name,
                blob,
                np.abs(ours[blob] - expected).max(),
            )


def read(
    folder: Path, source: Path, passes: int, batch: int = 3, transform: str = "", **order: int
) -> list[list[float]]:
    """The labels, or with a transform the sums of the images, of some batches."""
    layer = data_layer_of(make(folder, data_layer(source, batch, transform), pb.TRAIN))
    if "shuffle" in order:
        layer.shuffle(order["shuffle"])
    layer.seek(order.get("seek", 0))
    return batches_of(layer, passes, transform)


def data_layer_of(net: Net) -> Data:
    layer = net.layers[0]
    assert isinstance(layer, Data)
    return layer


def batches_of(layer: Data, passes: int, transform: str = "") -> list[list[float]]:
    data, label = Blob(), Blob()
    found = []
    for _ in range(passes):
        layer.forward([], [data, label])
        found.append(data.data.sum((1, 2, 3)).tolist() if transform else label.data.tolist())
    return found


def test_any_batch_can_be_the_next_one(folder: Path) -> None:
    straight = read(folder, folder / "raw", 20)
    assert straight[:3] == [[0, 3, 6], [9, 12, 15], [18, 0, 3]]
    for batch in (1, 2, 6, 13):
        assert read(folder, folder / "raw", 4, seek=batch) == straight[batch : batch + 4]
    layer = data_layer_of(make(folder, data_layer(folder / "raw", 3)))
    assert batches_of(layer, 2) == straight[:2]
    layer.skip(3)
    assert layer.next_batch == 5
    assert batches_of(layer, 2) == straight[5:7]
    layer.skip(-7)
    assert batches_of(layer, 1) == straight[:1]
    assert read(folder, folder / "raw", 1, seek=10**15)[0][0] == 3 * (3 * 10**15 % RECORDS)
    with pytest.raises(InputError, match="layer data: there is no batch -1"):
        layer.skip(-2)


def test_shuffled_by_a_seed_each_epoch_anew(folder: Path) -> None:
    batches = read(folder, folder / "raw", 7 * RECORDS, batch=1, shuffle=5)
    epochs = [[int(b[0]) for b in batches[i : i + RECORDS]] for i in range(0, len(batches), RECORDS)]
    assert all(sorted(epoch) == [0, 3, 6, 9, 12, 15, 18] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 7
    assert read(folder, folder / "raw", 7 * RECORDS, batch=1, shuffle=5) == batches
    assert read(folder, folder / "raw", 7 * RECORDS, batch=1, shuffle=6) != batches
    assert read(folder, folder / "raw", 5, batch=1, shuffle=5, seek=33) == batches[33:38]
    layer = data_layer_of(make(folder, data_layer(folder / "raw", 1)))
    assert batches_of(layer, 4) == [[0], [3], [6], [9]]
    layer.shuffle(5)  # what was read ahead in the old order is dropped
    assert batches_of(layer, 6) == batches[4:10]
    with pytest.raises(InputError, match="a seed is 0 or more, not -2"):
        layer.shuffle(-2)


def test_shuffled_epochs_are_dealt_out_to_solvers(folder: Path, solvers: None) -> None:
    mode.set_solver_count(2)
    both = []
    for rank in (0, 1):
        mode.set_solver_rank(rank)
        both.append(read(folder, folder / "raw", RECORDS, batch=1, shuffle=5))
    mode.set_solver_count(1)
    alone = read(folder, folder / "raw", 2 * RECORDS, batch=1, shuffle=5)
    assert alone[0::2] == both[0]
    assert alone[1::2] == both[1]


def test_crops_and_mirrors_follow_from_the_seed_and_the_batch(folder: Path) -> None:
    transform = "crop_size: 5 mirror: true"
    mode.set_random_seed(8)
    first = read(folder, folder / "raw", 12, transform=transform)
    mode.set_random_seed(8)
    assert read(folder, folder / "raw", 12, transform=transform) == first
    mode.set_random_seed(8)
    assert read(folder, folder / "raw", 3, transform=transform, seek=9) == first[9:]
    assert (
        read(folder, folder / "raw", 12, transform=transform) != first
    )  # goes on in the stream of random numbers


@pytest.mark.parametrize("threads", ["1", "5"])
def test_the_number_of_threads_changes_no_number(
    folder: Path, threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sums(**order: int) -> list[list[float]]:
        mode.set_random_seed(3)
        return read(folder, folder / "jpeg", 12, transform="crop_size: 9 mirror: true", **order)

    monkeypatch.setenv("BATCHBREW_DATA_THREADS", "2")
    straight, shuffled = sums(), sums(shuffle=4)
    monkeypatch.setenv("BATCHBREW_DATA_THREADS", threads)
    assert sums() == straight
    assert sums(shuffle=4) == shuffled != straight


def test_a_batch_ahead_for_each_thread_unless_they_are_large(folder: Path) -> None:
    layer = data_layer_of(make(folder, data_layer(folder / "raw", 1)))
    assert [layer.ahead(threads, 64 * 3 * 224 * 224) for threads in (1, 2, 8, 200)] == [2, 2, 8, 111]
    assert [layer.ahead(8, numbers) for numbers in (2**28, 2**30, 2**31 - 1)] == [4, 2, 2]


def test_with_several_threads_the_first_damaged_record_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHBREW_DATA_THREADS", "4")
    damaged = [raw(3, 8, 8, seed) if seed % 5 else b"\xff\xff" for seed in range(1, 21)]
    net = make(tmp_path, data_layer(write_lmdb(tmp_path / "db", damaged), 2))
    for _ in range(2):
        assert net.forward()["label"].size == 2
    for _ in range(3):
        with pytest.raises(LayerError, match="record 00000004 of"):
            net.forward()


def test_a_folder_of_lmdbs_is_one_set(folder: Path, tmp_path: Path) -> None:
    records = [raw(3, 10, 12, seed) for seed in range(RECORDS)]
    (tmp_path / "set").mkdir()
    for name, part in (("part-a", records[:2]), ("part-b", records[2:3]), ("part-c", records[3:])):
        write_lmdb(tmp_path / "set" / name, part)
    transform = "crop_size: 5 mirror: true"
    for order in ({}, {"seek": 9}, {"shuffle": 5}, {"shuffle": 5, "seek": 33}):
        mode.set_random_seed(2)
        whole = read(folder, folder / "raw", 5, transform=transform, **order)
        mode.set_random_seed(2)
        assert read(folder, tmp_path / "set", 5, transform=transform, **order) == whole


def test_shards_are_one_set_if_all_are_there(tmp_path: Path) -> None:
    for number in (3, 1, 0):
        write_lmdb(tmp_path / shard_name(number, 4), [raw(3, 4, 4, number)])
    layers = data_layer(tmp_path, 4)
    with pytest.raises(
        LayerError, match=r"layer data \(Data\): .* 3 are there, and shard-00002-of-00004 is not"
    ):
        make(tmp_path, layers, name="first")
    write_lmdb(tmp_path / shard_name(2, 4), [raw(3, 4, 4, 2)])
    assert make(tmp_path, layers, name="second").forward()["label"].tolist() == [0, 3, 6, 9]


def test_what_is_wrong_in_a_set_names_the_lmdb(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_lmdb(tmp_path / name, [raw(3, 8, 8, 0), b"\xff\xff" if name == "b" else raw(3, 8, 8, 1)])
    layers = data_layer(tmp_path, 4)
    with pytest.raises(LayerError, match=rf"record 00000001 of {tmp_path}/b is not a Datum"):
        make(tmp_path, layers, name="first").forward()
    with pytest.raises(InputError, match="which is an LMDB: write `backend: LMDB`"):
        make(tmp_path, layers.replace("backend: LMDB", ""), name="second")
    (tmp_path / "c").mkdir()
    with pytest.raises(LayerError, match=r"is a set of LMDBs, but c in it is none"):
        make(tmp_path, layers, name="third")


def test_several_nets_read_one_lmdb_and_give_it_up(tmp_path: Path) -> None:
    source = write_lmdb(tmp_path / "db", [raw(3, 4, 4, seed) for seed in range(RECORDS)])
    first, second = (data_layer_of(make(tmp_path, data_layer(source, 3), name=name)) for name in "ab")
    assert batches_of(first, 2) == batches_of(second, 2)
    del first
    assert batches_of(second, 1) == [[18, 0, 3]]
    del second
    end = time.monotonic() + 10  # a batch may still be in the making
    while time.monotonic() < end:
        try:
            with lmdb.open(str(source), readonly=True, lock=False) as again:
                assert again.stat()["entries"] == RECORDS
            return
        except lmdb.Error:  # open in this process
            time.sleep(0.01)
    pytest.fail("the LMDB is still open")


def test_lmdb_of_convert_imageset(caffe_python: Path, folder: Path, tmp_path: Path) -> None:
    names = write_pictures(tmp_path, 4)
    (tmp_path / "list").write_text("".join(f"{name} {index + 5}\n" for index, name in enumerate(names)))
    for name, flags in (("raw", []), ("jpeg", ["--encoded", "--encode_type=jpg"])):
        flags += ["--resize_height=48", "--resize_width=40"]
        tool = caffe_python.with_name("convert_imageset")
        subprocess.run(
            [tool, *flags, f"{tmp_path}/", tmp_path / "list", tmp_path / name], check=True, timeout=60
        )
    case = Case("converted", data_layer(tmp_path / "jpeg", 3, "crop_size: 40"), passes=2)
    real = in_real_caffe(caffe_python, [case], tmp_path)["converted"]
    ours = in_ours(case, tmp_path)
    assert all(np.array_equal(ours[blob], expected) for blob, expected in real.items())
    assert read(tmp_path, tmp_path / "raw", 2, batch=2) == [[5, 6], [7, 8]]


CUT = pb.Datum(encoded=True, data=coded(".jpg", 1).data[:-200], label=1)
UNLABELLED = pb.Datum(channels=3, height=8, width=8, data=bytes(192))
MIXED = [raw(3, 8, 8, 0), raw(3, 8, 8, 1), raw(3, 8, 9, 2)]


@pytest.mark.parametrize(
    ("records", "transform", "complaint"),
    [
        (MIXED, "", r"record 00000002 of \S* is 3×8×9, but record 00000000 of .* is 3×8×8: give crop_size"),
        ([raw(3, 8, 8, 0), raw(1, 8, 8, 1)], "crop_size: 4", r"record 00000001 of \S* is 1×4×4, but .* is 3×4×4"),
        ([raw(3, 8, 8, 0), raw(3, 3, 8, 1)], "crop_size: 4", "record 00000001 of .* is 3 high and 8 wide, too small"),
        ([raw(3, 8, 8, 0), b"\xff\xff"], "", "record 00000001 of .* is not a Datum message"),
        ([raw(3, 8, 8, 0), raw_datum(3, 8, 8, bytes(191))], "", "00000001 of .* has 191 values for a size of 3×8×8"),
        ([raw_datum(0, 8, 8, b"")], "", "record 00000000 of .* has the impossible size 0×8×8"),
        ([raw_datum(2**31 - 1, 8, 8, b"12")], "", "record 00000000 of .* has the impossible size 2147483647×8×8"),
        ([raw_datum(-1, -8, 8, bytes(64))], "", "record 00000000 of .* has the impossible size -1×-8×8"),
        ([pb.Datum(encoded=True, data=b"garbage", label=1)], "", "record 00000000 of .* is not a JPEG, PNG"),
        ([pb.Datum(encoded=True, label=1)], "", "record 00000000 of .* is empty"),
        ([coded(".jpg", 0), CUT], "", "record 00000001 of .* is a truncated JPEG"),
        ([raw(3, 8, 8, 0), UNLABELLED], "", "record 00000001 of .* has no label"),
        ([coded(".png", 0)], "force_color: true force_gray: true", "has both force_color and force_gray"),
        ([raw(3, 8, 8, 0)], "crop_size: 4294967295", "is 8 high and 8 wide, too small for crop_size 4294967295"),
        ([raw(3, 8, 8, 0)], "mean_value: 1 mean_value: 2", "has 3 channels, but there are 2 mean_value"),
        ([raw(3, 8, 8, 0)], 'mean_value: 1 mean_file: "x"', "has both mean_file and mean_value"),
        ([raw(3, 8, 8, 0)], 'mean_file: "/nowhere"', "/nowhere"),
        ([raw(3, 8, 8, 0)], 'mean_file: "FOLDER/mean.binaryproto"', "is 3×8×8, but the mean in .* is 3×10×12"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_layer_record_and_value(
    folder: Path, tmp_path: Path, records: list[bytes | pb.Datum], transform: str, complaint: str
) -> None:
    write_lmdb(tmp_path / "db", records)
    transform = transform.replace("FOLDER", str(folder))
    for _ in range(2):  # nothing is left in the way
        with pytest.raises(LayerError, match=rf"^layer data \(Data\): .*{complaint}"):
            make(tmp_path, data_layer(tmp_path / "db", 3, transform)).forward()


def test_an_error_comes_with_its_batch_and_stays(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "db", [*MIXED[:2], *MIXED])
    net = make(tmp_path, data_layer(tmp_path / "db", 2))
    assert net.forward()["label"].tolist() == [0, 3]
    assert net.forward()["label"].tolist() == [0, 3]
    for _ in range(2):
        with pytest.raises(LayerError, match=r"record 00000000 of .* is 3×8×8, but record 00000004 of"):
            net.forward()
    data_layer_of(net).skip(1)
    assert net.forward()["label"].tolist() == [3, 0]


def test_sources_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    write_lmdb(tmp_path / "db", [raw(3, 64, 64, seed) for seed in range(20)])
    content = (tmp_path / "db" / "data.mdb").read_bytes()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "data.mdb").write_bytes(content[: len(content) // 2])
    good = data_layer(folder / "raw", 2)
    for layers, complaint in (
        (data_layer(tmp_path / "cut", 2), "is truncated"),
        (data_layer(tmp_path / "none", 2), "does not exist"),
        (good.replace("backend: LMDB", ""), "which is an LMDB: write `backend: LMDB`"),
        (good.replace("backend: LMDB", "backend: LEVELDB").replace("/raw", "/none"), "as a LevelDB"),
        (good.replace("batch_size: 2", "batch_size: 0"), "batch_size must be given"),
        (good.replace("batch_size: 2", "batch_size: 4294967295"), "too large"),
        (good.replace(f'source: "{folder / "raw"}"', ""), "has no source"),
    ):
        with pytest.raises(InputError, match=rf"layer data \(Data\): .*{complaint}"):
            make(tmp_path, layers)


def test_a_batch_that_does_not_fit_into_memory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lmdb(tmp_path / "db", [raw(3, 8, 8, 0), raw(3, 90, 90, 1)])
    net = make(tmp_path, data_layer(tmp_path / "db", 1))
    monkeypatch.setattr("batchbrew.caffe.memory_limit.available_bytes", lambda: 50_000)
    net.forward()
    with pytest.raises(LayerError, match=r"layer data \(Data\): the net takes"):
        net.forward()
