"""ImageData: files of a list, decoded and resized as real Caffe does it."""

from pathlib import Path

import numpy as np
import pytest

from batchbrew.caffe import mode
from batchbrew.caffe.layer import LayerError
from batchbrew.caffe.layers.image_data import ImageData
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from tests.caffe.layers.engines import Case, in_ours, in_real_caffe, make
from tests.dataset.pictures import by_pillow, encoded, picture

FILES = {
    "a.jpg": encoded(".jpg", picture(41, 33, 1)),
    "with space.png": encoded(".png", picture(20, 50, 2)),
    "c.JPEG": encoded(".png", picture(33, 41, 3)),  # a PNG by another name
    "grey.jpg": encoded(".jpg", picture(30, 30, 4)[:, :, 0].copy()),
    "sub/turned.jpg": by_pillow("JPEG", orientation=6, image=picture(44, 22, 5)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    (folder / "sub").mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    labels = [3, -1, 0, 70000, 5]
    (folder / "list").write_text(
        "".join(f"{name} {label}\n" for name, label in zip(FILES, labels, strict=True))
    )
    return folder


def layer(folder: Path, param: str, transform: str = "") -> str:
    return (
        f'layer {{ name: "data" type: "ImageData" top: "data" top: "label" transform_param {{ {transform} }} '
        f'image_data_param {{ source: "{folder / "list"}" root_folder: "{folder}/" {param} }} }}'
    )


def test_files_are_read_exactly_as_by_caffe(caffe_python: Path, folder: Path) -> None:
    cases = [
        Case("one_by_one", layer(folder, "batch_size: 1"), passes=6),
        Case("resized", layer(folder, "batch_size: 3 new_height: 24 new_width: 37")),
        Case(
            "enlarged",
            layer(folder, "batch_size: 2 new_height: 90 new_width: 64", "crop_size: 57 scale: 0.1"),
        ),
        Case("halved", layer(folder, "batch_size: 1 new_height: 11 new_width: 22"), passes=5),
        Case("grey", layer(folder, "batch_size: 4 is_color: false", "crop_size: 19 mean_value: 100")),
        Case("train", layer(folder, "batch_size: 2 new_height: 16 new_width: 16"), phase=pb.TRAIN),
    ]
    real = in_real_caffe(caffe_python, cases, folder)
    for case in cases:
        ours = in_ours(case, folder)
        for blob, expected in real[case.name].items():
            assert ours[blob].shape == expected.shape, (case.name, blob)
            assert np.array_equal(ours[blob], expected), (
                case.name,
                blob,
                np.abs(ours[blob] - expected).max(),
            )


def labels(folder: Path, param: str, passes: int, seek: int = 0) -> list[int]:
    net = make(folder, layer(folder, f"batch_size: 1 new_height: 8 new_width: 8 {param}"))
    reader = net.layers[0]
    assert isinstance(reader, ImageData)
    reader.seek(seek)
    return [int(net.forward()["label"][0]) for _ in range(passes)]


def test_shuffled_anew_in_each_round(folder: Path) -> None:
    mode.set_random_seed(4)
    seen = labels(folder, "shuffle: true", 60)
    rounds = [tuple(seen[index : index + 5]) for index in range(0, 60, 5)]
    assert all(sorted(each) == [-1, 0, 3, 5, 70000] for each in rounds)
    assert len(set(rounds)) > 8
    mode.set_random_seed(4)
    assert labels(folder, "shuffle: true", 5, seek=23) == seen[23:28]


def test_rand_skip_leaves_out_some_of_the_first_round(folder: Path) -> None:
    mode.set_random_seed(4)
    straight = labels(folder, "", 9)
    assert straight == [3, -1, 0, 70000, 5, 3, -1, 0, 70000]
    begins = {straight.index(labels(folder, "rand_skip: 5", 1)[0]) for _ in range(40)}
    assert begins == {0, 1, 2, 3, 4}
    skipped = labels(folder, "rand_skip: 5", 4)
    assert skipped == straight[straight.index(skipped[0]) :][:4]


def test_what_is_wrong_is_told_with_layer_file_line_and_value(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("text")
    (tmp_path / "cut.jpg").write_bytes(FILES["a.jpg"][:-100])
    for name in ("a.jpg", "grey.jpg"):
        (tmp_path / name).write_bytes(FILES[name])
    for listed, param, complaint in (
        ("a.jpg 1\nnone.jpg 1", "", r"image \S*none.jpg, line 2 of \S*list, cannot be read: No such file"),
        ("text.jpg 1", "", "text.jpg, line 1 of .* is not a JPEG"),
        ("cut.jpg 1", "", "cut.jpg, line 1 of .* is a truncated JPEG"),
        (
            "a.jpg 1\ngrey.jpg 1",
            "",
            r"line 2 of \S*, is 3×30×30, but image .*line 1 of \S*, .* is 3×33×41: give crop_size",
        ),
        ("a.jpg", "", "line 1: 'a.jpg' is not a path, a space and a whole number"),
        ("a.jpg 1\n\ngrey.jpg 1", "", "line 2: '' is not a path"),
        ("a.jpg 0.5", "", "line 1: 'a.jpg 0.5' is not"),
        ("a.jpg 3000000000", "", "line 1: 'a.jpg 3000000000' is not"),
        ("", "", "lists no images"),
        ("a.jpg 1", "new_height: 3", "new_height and new_width, or neither"),
        ("a.jpg 1", "new_height: 100000 new_width: 100000", "at most 200,000,000 pixels"),
        ("a.jpg 1", "rand_skip: 4294967295", "skips .* images by rand_skip 4294967295, but .* lists 1"),
        ("a.jpg 1", "batch_size: 0", "batch_size must be given"),
    ):
        (tmp_path / "list").write_text(listed)
        with pytest.raises(InputError, match=rf"layer data \(ImageData\): .*{complaint}"):
            make(tmp_path, layer(tmp_path, param if "batch" in param else f"batch_size: 2 {param}")).forward()
    (tmp_path / "list").unlink()
    with pytest.raises(LayerError, match=r"its source .*list cannot be read"):
        make(tmp_path, layer(tmp_path, "batch_size: 2"))


def test_a_list_with_line_ends_of_windows(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(FILES["a.jpg"])
    (tmp_path / "list").write_bytes(b"a.jpg 4\r\na.jpg -5\r\n")
    assert labels(tmp_path, "", 3) == [4, -5, 4]
