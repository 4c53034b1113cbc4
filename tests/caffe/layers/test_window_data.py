"""WindowData: boxes cut out and warped exactly as by real Caffe."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from batchbrew.caffe import mode
from batchbrew.caffe.layer import LayerError
from batchbrew.caffe.layers.window_data import WindowData
from batchbrew.errors import InputError
from batchbrew.proto.binary import write_binary
from batchbrew.proto.blobs import array_blob
from tests.caffe.layers.engines import Blobs, Case, in_ours, in_real_caffe, make
from tests.dataset.pictures import encoded, picture

# Windows inside of the image, at its edges, all of it, a single pixel, tall, wide; the last two are, with their
# surroundings, a pixel too high or too wide by rounding. The image is 60 wide and 40 high.
WINDOWS = [
    (10, 5, 39, 30), (0, 0, 20, 39), (45, 20, 59, 39), (0, 0, 59, 39), (7, 7, 7, 7), (30, 0, 33, 39), (2, 18, 57, 21),
    (21, 2, 45, 20), (18, 5, 28, 38),
]  # fmt: skip
SETTINGS = [
    "", "context_pad: 3", 'crop_mode: "square"', 'context_pad: 4 crop_mode: "square" scale: 0.5',
    "cache_images: true context_pad: 1",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("windows")
    for number in range(2):
        (folder / f"{number}.png").write_bytes(encoded(".png", picture(60, 40, number)))
    mean = np.random.default_rng(0).uniform(0, 255, (1, 3, 25, 27)).astype(np.float32)
    write_binary(folder / "mean.binaryproto", array_blob(mean))
    for number, window in enumerate(WINDOWS):
        box = " ".join(map(str, window))
        other = " ".join(map(str, WINDOWS[number - 1]))
        (folder / f"windows_{number}").write_text(
            f"# 0\n{folder}/0.png\n3\n40\n60\n2\n4 0.75 {box}\n9 0.4 {box}\n"
            f"# 1\n{folder}/1.png\n3 40 60\n1\n5 0.1 {other}\n"
        )
    return folder


def layer(source: Path, param: str, transform: str = "crop_size: 21", batch: int = 2) -> str:
    for field, value in (
        ("batch_size", batch),
        ("fg_fraction", 0.5),
        ("fg_threshold", 0.6),
        ("bg_threshold", 0.3),
    ):
        param += "" if field in param else f" {field}: {value}"
    return (
        f'layer {{ name: "data" type: "WindowData" top: "data" top: "label" transform_param {{ {transform} }} '
        f'window_data_param {{ source: "{source}" {param} }} }}'
    )


def cases(folder: Path) -> list[Case]:
    mean = f'mean_file: "{folder / "mean.binaryproto"}" crop_size: 20'
    listed = [
        Case(f"{number}_{index}", layer(folder / f"windows_{number}", setting), passes=1)
        for number in range(len(WINDOWS))
        for index, setting in enumerate(SETTINGS)
    ]
    listed.append(Case("mean", layer(folder / "windows_2", "context_pad: 3 scale: 0.25", mean), passes=1))
    values = "crop_size: 16 mean_value: 1 mean_value: 2.5 mean_value: 99"
    listed.append(Case("values", layer(folder / "windows_1", "context_pad: 2", values), passes=1))
    return listed


def test_boxes_are_exactly_caffes(caffe_python: Path, folder: Path) -> None:
    mirrored = Case(
        "m", layer(folder / "windows_2", "context_pad: 5", "crop_size: 30 mirror: true", batch=40), passes=1
    )
    real = in_real_caffe(caffe_python, [*cases(folder), mirrored], folder)
    for case in cases(folder):
        ours = in_ours(case, folder)
        for blob, expected in real[case.name].items():
            assert np.array_equal(ours[blob], expected), (
                case.name,
                blob,
                np.abs(ours[blob] - expected).max(),
            )
    ours = in_ours(mirrored, folder)
    assert np.array_equal(_kinds(ours), _kinds(real["m"]))
    assert len(_kinds(ours)) == 4  # foreground and background, each mirrored and not


def _kinds(blobs: Blobs) -> NDArray[np.float32]:
    return np.unique(blobs["0 data"].reshape(len(blobs["0 data"]), -1), axis=0)


GOOD = "# 0\nIMAGE 3 40 60 2 4 0.75 10 5 39 30 0 0.1 0 0 5 5\n"


@pytest.mark.parametrize(
    ("text", "param", "complaint"),
    [
        ("", "", "names no image"),
        ("IMAGE 3 40 60 0", "", "image 0 begins with .*: `# 0` is expected"),
        (GOOD.replace("# 0", "# 7"), "", "image 0 has the number 7"),
        (GOOD.replace(" 3 40", " 1 40"), "", "image 0 gives it 1 channels"),
        (GOOD.replace("10 5", "10 x"), "", "image 0 has 'x' where y1 is expected, a whole number"),
        (GOOD.replace("10 5", "10 99999999999"), "", "has '99999999999' where y1"),
        (GOOD.replace("0.75", "much"), "", "has 'much' where an overlap"),
        (GOOD.replace(" 2 4", " 3 4"), "", "image 0 ends where a class is expected"),
        (GOOD.replace(" 4 0.75", " 0 0.75"), "", "has a foreground window of class 0"),
        (GOOD.replace("0.75", "0.45"), "", "finds no foreground window"),
        (GOOD.replace("0.1", "0.8").replace(" 0 0.8", " 1 0.8"), "", "finds no background window"),
        (
            GOOD.replace("39 30", "60 30"),
            "",
            r"image .*0.png of .* is 60 wide and 40 high: the window \(10, 5\) to \(60",
        ),
        (GOOD.replace("10 5 39 30", "200 200 230 230"), "context_pad: 2", "is not in it"),
        (GOOD.replace("10 5 39 30", "39 30 10 5"), "context_pad: 2", "is not in it"),
        (GOOD.replace("10 5", "-2147483648 5").replace("39", "2147483647"), "context_pad: 2", ""),
        (GOOD.replace("IMAGE", "/nowhere.png"), "", "image /nowhere.png cannot be read"),
        (GOOD.replace("IMAGE", "/nowhere.png"), "cache_images: true", "image /nowhere.png cannot be read"),
        (GOOD, 'crop_mode: "round"', "has crop_mode 'round': there are warp and square"),
        (GOOD, "context_pad: 11", "has context_pad 11 on both sides of crop_size 21"),
        (GOOD, "fg_fraction: 1.5", "has fg_fraction 1.5"),
        (GOOD, "batch_size: 0", "batch_size must be given"),
        (GOOD, "batch_size: 4294967295", "too large"),
    ],
)
def test_what_is_wrong_is_told_with_layer_place_and_value(
    folder: Path, tmp_path: Path, text: str, param: str, complaint: str
) -> None:
    (tmp_path / "list").write_text(text.replace("IMAGE", f"{folder}/0.png"))
    with pytest.raises(InputError, match=rf"layer data \(WindowData\): .*{complaint}"):
        make(tmp_path, layer(tmp_path / "list", param)).forward()


@pytest.mark.parametrize(
    ("transform", "complaint"),
    [
        ("", "crop_size must be given in transform_param"),
        (
            'crop_size: 26 mean_file: "FOLDER/mean.binaryproto"',
            "mean.binaryproto of 3×25×27: 3 channels that hold crop",
        ),
        ("crop_size: 5 mean_value: 1 mean_value: 2", "has 2 mean_value"),
        ('crop_size: 5 mean_value: 1 mean_file: "x"', "has both mean_file and mean_value"),
    ],
)
def test_transforms_that_do_not_fit(folder: Path, tmp_path: Path, transform: str, complaint: str) -> None:
    transform = transform.replace("FOLDER", str(folder))
    with pytest.raises(LayerError, match=rf"layer data \(WindowData\): .*{complaint}"):
        make(tmp_path, layer(folder / "windows_0", "", transform))


def test_windows_are_drawn_alike_from_one_seed(folder: Path, tmp_path: Path) -> None:
    text = "".join(
        f"{number % 9 + 1} {0.9 if number % 2 else 0.1} {number} 0 {number + 9} 9\n" for number in range(50)
    )
    (tmp_path / "list").write_text(f"# 0\n{folder}/0.png 3 40 60 50\n{text}")
    seen: list[list[NDArray[np.float32]]] = []
    for _ in range(2):
        mode.set_random_seed(2)
        net = make(tmp_path, layer(tmp_path / "list", "", "crop_size: 8 mirror: true", batch=6))
        reader = net.layers[0]
        assert isinstance(reader, WindowData)
        reader.seek(5 * len(seen))
        seen.append([net.forward()["data"].copy() for _ in range(10 - 5 * len(seen))])
    assert np.array_equal(seen[0][5:], seen[1])
    assert len(np.unique(np.concatenate(seen[0]).reshape(60, -1), axis=0)) > 30
