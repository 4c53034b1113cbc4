"""JPEGs for builds whose number counts and not what they show: some different ones under many names."""

import os
from pathlib import Path

import cv2
from made_up_lmdb import picture
from photo_mix import make_mix

LABELS = 10


def write_pictures(
    folder: Path, count: int, different: int, short_side: int = 300, photographs: Path | None = None
) -> Path:
    """`count` names for `different` JPEGs in `folder`; returns their list, in Caffe's format.

    They are made up, or cut from `photographs`, whose sizes then are those of the mix.
    """
    if photographs is not None:
        make_mix(photographs, folder, different)
    else:
        folder.mkdir(parents=True)
        for number in range(different):
            pixels = picture(1, number, number % LABELS, LABELS, short_side)
            (folder / name_of(number)).write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    for number in range(different, count):
        os.link(folder / name_of(number % different), folder / name_of(number))
    lines = [f"{name_of(number)} {number % different % LABELS}\n" for number in range(count)]
    listed = folder / "list.txt"
    listed.write_text("".join(lines), encoding="utf-8")
    return listed


def name_of(number: int) -> str:
    """Of a picture, as the mix calls them."""
    return f"{number:06d}.JPEG"
