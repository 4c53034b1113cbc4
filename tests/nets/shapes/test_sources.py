"""Data layers against real Caffe: what it makes of LMDBs, image lists, windows and HDF5 files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batchbrew.dataset.first_image import first_image
from batchbrew.errors import InputError
from batchbrew.nets.shapes import Known, ShapeError, UnknownInputError, infer_shapes
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt
from tests.conftest import RunCaffe
from tests.dataset.lmdbs import raw_datum, write_lmdb
from tests.dataset.pictures import encoded, picture
from tests.nets.shapes.caffe_builds import build_in_caffe

GREY_JPEG = encoded(".jpg", picture(30, 20)[:, :, 0])

NETS = {
    "raw": 'type: "Data" top: "d" top: "l" data_param { source: "FOLDER/raw" backend: LMDB batch_size: 3 }',
    "raw, cropped": 'type: "Data" top: "d" data_param { source: "FOLDER/raw" backend: LMDB batch_size: 2 } '
    "transform_param { crop_size: 5 }",
    "grey JPEG": 'type: "Data" top: "d" data_param { source: "FOLDER/grey" backend: LMDB batch_size: 2 }',
    "grey JPEG in colour": 'type: "Data" top: "d" top: "l" '
    'data_param { source: "FOLDER/grey" backend: LMDB batch_size: 2 } transform_param { force_color: true }',
    "list": 'type: "ImageData" top: "d" top: "l" '
    'image_data_param { source: "FOLDER/list.txt" root_folder: "FOLDER/" batch_size: 2 }',
    "grey list, resized": 'type: "ImageData" top: "d" top: "l" image_data_param { source: "FOLDER/list.txt" '
    'root_folder: "FOLDER/" batch_size: 2 new_height: 11 new_width: 13 is_color: false }',
    "list, resized and cropped": 'type: "ImageData" top: "d" top: "l" image_data_param { '
    'source: "FOLDER/list.txt" root_folder: "FOLDER/" batch_size: 2 new_height: 11 new_width: 13 } '
    "transform_param { crop_size: 7 }",
    "windows": 'type: "WindowData" top: "d" top: "l" '
    'window_data_param { source: "FOLDER/windows.txt" batch_size: 4 } transform_param { crop_size: 9 }',
    "HDF5": 'type: "HDF5Data" top: "d" top: "l" hdf5_data_param { source: "FOLDER/hdf5.txt" batch_size: 2 }',
}
WRITE_HDF5 = """
import h5py, json, sys
with h5py.File(sys.argv[1], "w") as file:
    file["d"] = [[1.0] * 5] * 6
    file["l"] = [1.0] * 6
print(json.dumps(None))
"""
HDF5_SHAPES = {"d": (2, 5), "l": (2,)}

MakeNet = Callable[[str], pb.NetParameter]


@pytest.fixture
def make_net(tmp_path: Path) -> MakeNet:
    """One of NETS, whose files lie in tmp_path."""
    values = bytes(range(3 * 8 * 7))
    write_lmdb(tmp_path / "raw", [raw_datum(3, 8, 7, values)] * 3)
    write_lmdb(tmp_path / "grey", [pb.Datum(encoded=True, data=GREY_JPEG, label=1)] * 3)
    (tmp_path / "a picture.jpg").write_bytes(encoded(".jpg", picture(24, 16)))
    (tmp_path / "list.txt").write_text("a picture.jpg 1\na picture.jpg 0\n")
    (tmp_path / "windows.txt").write_text(
        f"# 0\n{tmp_path}/a picture.jpg\n3\n16\n24\n2\n1 0.9 0 0 9 9\n0 0.1 2 2 12 12\n".replace(
            "a picture", "b"
        )
    )
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a picture.jpg").read_bytes())
    (tmp_path / "hdf5.txt").write_text(f"{tmp_path}/data.h5\n")

    def make(name: str) -> pb.NetParameter:
        text = f'layer {{ name: "data" {NETS.get(name, name)} }}'.replace("FOLDER", str(tmp_path))
        return parse_prototxt(text, pb.NetParameter)

    return make


def test_agrees_with_caffe(run_caffe: RunCaffe, tmp_path: Path, make_net: MakeNet) -> None:
    run_caffe(WRITE_HDF5, tmp_path / "data.h5")
    nets = [make_net(name) for name in NETS]
    for name, net, build in zip(NETS, nets, build_in_caffe(run_caffe, tmp_path, nets), strict=True):
        assert build.refused is None, f"{name}: {build.refused}"
        known = Known(HDF5_SHAPES if name == "HDF5" else {}, first_image=first_image)
        ours = infer_shapes(net, pb.TRAIN, known)
        assert build.differences(ours) == [], name


def test_a_size_that_is_not_told_must_be_given(make_net: MakeNet) -> None:
    net = make_net('type: "Data" top: "d" data_param { source: "nowhere" batch_size: 2 }')
    with pytest.raises(
        UnknownInputError, match=r"layer data \(Data\): .*its source is not there: give --size H,W"
    ):
        infer_shapes(net, pb.TRAIN, Known(first_image=first_image))
    given = infer_shapes(net, pb.TRAIN, Known(size=(10, 20), first_image=first_image))
    assert given.blobs == {"d": (2, 3, 10, 20)}
    assert given.layers[0].note == "its source is not there; its images are taken to be in colour"


def test_mean_values_tell_the_channels(make_net: MakeNet) -> None:
    net = make_net('type: "Data" top: "d" data_param { batch_size: 2 } '
                   "transform_param { crop_size: 6 mean_value: 1 mean_value: 2 }")  # fmt: skip
    assert infer_shapes(net).blobs == {"d": (2, 2, 6, 6)}


def test_crop_larger_than_the_image(make_net: MakeNet) -> None:
    net = make_net(NETS["raw, cropped"].replace("crop_size: 5", "crop_size: 8"))
    with pytest.raises(ShapeError, match=r"crop_size 8 is larger than its first image, which is 8×7"):
        infer_shapes(net, pb.TRAIN, Known(first_image=first_image))


def test_damaged_record_is_named(make_net: MakeNet, tmp_path: Path) -> None:
    write_lmdb(tmp_path / "bad", [pb.Datum(encoded=True, data=b"no image")])
    net = make_net(NETS["raw"].replace("raw", "bad"))
    with pytest.raises(InputError, match=r"bad: record 00000000 is not a JPEG"):
        infer_shapes(net, pb.TRAIN, Known(first_image=first_image))


@pytest.mark.parametrize("kind", ["HDF5Data", "Python"])
def test_what_only_files_and_programs_know(make_net: MakeNet, kind: str) -> None:
    net = make_net(f'type: "{kind}" top: "d"')
    with pytest.raises(UnknownInputError, match=r"shape of its top d: give it as --shape d=N,C,H,W"):
        infer_shapes(net)
    assert infer_shapes(net, pb.TRAIN, Known({"d": (4, 5)})).blobs == {"d": (4, 5)}


def test_types_of_other_caffes_take_given_shapes(make_net: MakeNet) -> None:
    net = make_net('type: "AnnotatedData" top: "d"')
    with pytest.raises(InputError, match=r"layer data has type 'AnnotatedData'.*--shape d=N,C,H,W.*AbsVal"):
        infer_shapes(net)
    given = infer_shapes(net, pb.TRAIN, Known({"d": (4, 5)}))
    assert given.blobs == {"d": (4, 5)}
    assert "not counted" in str(given.layers[0].note)


def test_batch_and_size_replace_those_of_inputs(make_net: MakeNet) -> None:
    net = make_net('type: "Input" top: "d" top: "n" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } '
                   "shape { dim: 1 dim: 2 } }")  # fmt: skip
    assert infer_shapes(net, pb.TRAIN, Known(batch=5, size=(7, 8))).blobs == {"d": (5, 3, 7, 8), "n": (5, 2)}
