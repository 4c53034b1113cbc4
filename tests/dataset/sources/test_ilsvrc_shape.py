"""An archive of ILSVRC2012's shape, 1,000 class archives, through to the LMDB."""

from pathlib import Path

import numpy as np
import pytest

from batchbrew.dataset.building.options import BuildOptions
from batchbrew.dataset.building.writer import build_lmdb
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.reader import LmdbReader
from batchbrew.dataset.sources import TarSource, open_ilsvrc
from tests.dataset.pictures import by_pillow, encoded, picture
from tests.dataset.sources.trees import END, member, write

SYNSETS = [f"n{1_440_764 + 13_647 * place:08}" for place in range(1000)]
JPEG = encoded(".jpg", picture(24, 16))
ODD = {
    "n01440764_cmyk.JPEG": by_pillow("JPEG", "CMYK", image=picture(24, 16)),
    "n01440764_png.JPEG": encoded(".png", picture(24, 16)),
    "n01440764_alpha.JPEG": by_pillow("PNG", "RGBA", image=picture(24, 16)),
    "n01440764_deep.JPEG": encoded(".png", picture(24, 16).astype(np.uint16) * 257),  # type: ignore[arg-type]
    "n01440764_cut.JPEG": JPEG[: len(JPEG) // 2],
    "n01440764_empty.JPEG": b"",
}


@pytest.fixture
def source(tmp_path: Path) -> TarSource:
    """A picture a class, the odd ones in the first."""
    parts = []
    for place in np.random.default_rng(0).permutation(1000):
        synset = SYNSETS[place]
        files = {f"{synset}_1.JPEG": JPEG} | (ODD if place == 0 else {})
        inner = b"".join(member(name, content) for name, content in files.items())
        if place == 0:
            inner += member("../n01440764_up.JPEG", JPEG) + member("n01440764_link.JPEG", kind=b"2")
        parts.append(member(f"{synset}.tar", inner + END))
    opened = open_ilsvrc(write(tmp_path / "ILSVRC2012_img_train.tar", *parts, END), "train")
    assert isinstance(opened, TarSource)
    return opened


def test_every_label_is_right_and_every_odd_one_named(tmp_path: Path, source: TarSource) -> None:
    options = BuildOptions(images=ImageOptions(side=16), check_space=False)
    built = build_lmdb(source, tmp_path / "db", options).description
    source.close()
    assert (built.images, built.classes, built.listed) == (1004, 1000, 1008)
    assert built.class_names == SYNSETS
    assert built.label_counts == {0: 5} | dict.fromkeys(range(1, 1000), 1)
    unreadable = {bad.path: bad.reason for bad in built.unreadable}
    assert set(unreadable) == {"n01440764/n01440764_cut.JPEG", "n01440764/n01440764_empty.JPEG"}
    assert "truncated" in unreadable["n01440764/n01440764_cut.JPEG"]
    assert unreadable["n01440764/n01440764_empty.JPEG"] == "is empty"
    assert [str(bad) for bad in built.refused] == [
        "n01440764/../n01440764_up.JPEG has a '..' in its path",
        "n01440764/n01440764_link.JPEG is a symbolic link",
    ]
    assert built.odd is not None
    named = {path for kind in built.odd.values() for path in kind["images"]}
    assert named >= {f"n01440764/n01440764_{odd}.JPEG" for odd in ("cmyk", "png", "alpha", "deep")}
    with LmdbReader(tmp_path / "db") as reader:
        for record in reader.records():
            synset = record.key.decode().partition("_")[2].partition("/")[0]
            assert SYNSETS[record.label] == synset
