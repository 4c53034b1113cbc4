"""Pictures of absurd sizes, made in a process of their own, which says how much memory it took."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.dataset.pictures import encoded, picture

SIDE = 20_000
MOST_MEGABYTES = 500

# Bits of the standard Huffman tables. A block that is the one before: no difference, end of block.
SAME_LUMA, SAME_CHROMA = "001010", "0000"
SAME = 4 * SAME_LUMA + 2 * SAME_CHROMA
# The first: differences of 15, 1 and 3, so that it is not libjpeg's grey; it has whole bytes, too.
FIRST = "10111111010" + 3 * SAME_LUMA + "01100" + "101100"

MAKE = """
import concurrent.futures, json, re, sys
import cv2
from batchbrew.allocator import keep_freed_pictures
from batchbrew.dataset.image_options import ImageOptions
from batchbrew.dataset.images import ImageError
from batchbrew.dataset.making import make
from batchbrew.dataset.pixel_budget import PixelBudget

cv2.setNumThreads(1)
keep_freed_pictures()
budget, options = PixelBudget(), ImageOptions()

def made(path):
    with open(path, "rb") as file:
        data = file.read()
    try:
        one = make(data, path, 0, options, budget)
    except ImageError as error:
        return str(error)
    return [*one.source_size, *one.size]

with concurrent.futures.ThreadPoolExecutor(8) as pool:
    results = list(pool.map(made, sys.argv[1:]))
# Not ru_maxrss: that counts what the process that started this one had.
peak = re.search(r"VmHWM:\\s+([0-9]+) kB", open("/proc/self/status").read())
print(json.dumps([results, int(peak[1]) / 1024]))
"""


def one_colour_jpeg(side: int) -> bytes:
    """A baseline JPEG, chroma halved both ways, of side × side pixels; `side` is a multiple of 16."""
    small = encoded(".jpg", picture(16, 16))
    assert len(FIRST) % 8 == len(SAME) % 8 == 0
    units = (side // 16) ** 2
    data = int(FIRST, 2).to_bytes(len(FIRST) // 8, "big") + int(SAME, 2).to_bytes(len(SAME) // 8, "big") * (
        units - 1
    )
    scan = small.index(b"\xff\xda")
    scan += 2 + int.from_bytes(small[scan + 2 : scan + 4], "big")
    header = small[:scan].replace(struct.pack(">HH", 16, 16), struct.pack(">HH", side, side))
    return header + data + b"\xff\xd9"


def test_memory_is_bounded_whatever_the_sizes(tmp_path: Path) -> None:
    huge = tmp_path / "huge.jpg"
    huge.write_bytes(one_colour_jpeg(SIDE))
    # A PNG of that size would take 1.2 GB; ones of 25 megapixels are made, but not six at once.
    large = tmp_path / "large.png"
    large.write_bytes(encoded(".png", np.zeros((5000, 5000, 3), np.uint8)))
    too_large = tmp_path / "too_large.png"
    too_large.write_bytes(
        large.read_bytes().replace(struct.pack(">II", 5000, 5000), struct.pack(">II", SIDE, SIDE))
    )
    files = [huge, too_large, *[large] * 6]
    done = subprocess.run([sys.executable, "-c", MAKE, *files], capture_output=True, text=True, check=True)
    results, megabytes = json.loads(done.stdout)
    assert results[0] == [SIDE, SIDE, 256, 256]
    assert results[1].startswith(f"is a PNG of {SIDE}×{SIDE} pixels, which takes")
    assert results[2:] == [[5000, 5000, 256, 256]] * 6
    assert megabytes < MOST_MEGABYTES
