#!/usr/bin/env python3
"""A net that somebody else trained, in both engines: how far apart are their blobs, layer by layer?

    .venv/bin/python benchmarks/foreign_models.py DEPLOY.prototxt WEIGHTS.caffemodel [--images 4] [--photographs FILES]

The net has one input, of images. It runs in TEST phase, one image at a time, and every layer's tops are kept, so that
what later layers overwrite in place counts too. Beside the engines' difference stands what real Caffe differs from
itself by when the images change in their last bit: no implementation can be expected to come much closer than that.
(The probabilities of a net with large logits are such numbers: a logit of 40 has an error of 4e-6 from its last bit.)
Nothing is downloaded. Ends with 1 if a difference is beyond its tolerance, whatever Caffe's own is.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from measuring import write_results
from numpy.typing import NDArray

from batchbrew.parity.compare import difference
from batchbrew.parity.conditioning import nudged
from batchbrew.parity.engines import ENVIRONMENT, ProbedEngine, bvlc, torch
from batchbrew.training.engines import find_caffe_python

Array = NDArray[np.float32]

OUTPUT_TOLERANCE = 1e-5  # relative to the number itself, or to a tenth of the largest, if that is more
BLOB_TOLERANCE = 1e-4  # of the blob's largest magnitude
MEAN = np.array([104, 117, 123], np.float32)  # BGR, as most nets of ImageNet subtract it
SHOWN = 10

# In either engine: writes parameters.npz, and for each image the tops of all layers as LAYER|TOP.
RUN = """
import os, sys
import numpy as np, caffe
prototxt, weights, images, folder = sys.argv[1:]
net = caffe.Net(prototxt, weights, caffe.TEST)
parameters = {"%s|%d" % (name, i): blob.data for name, blobs in net.params.items() for i, blob in enumerate(blobs)}
np.savez(os.path.join(folder, "parameters.npz"), **parameters)
data, layers, tops = net.blobs[net.inputs[0]], list(net._layer_names), net.top_names
for number, image in enumerate(np.load(images)):
    data.reshape(1, *image.shape)
    net.reshape()
    data.data[...] = image
    kept = {}
    for index, layer in enumerate(layers):
        net._forward(index, index)
        kept.update({"%s|%s" % (layer, top): np.array(net.blobs[top].data) for top in tops[layer]})
    np.savez(os.path.join(folder, "%d.npz" % number), **kept)
print("outputs", *net.outputs)
sys.stdout.flush()
os._exit(0)
"""
SHAPE = "import sys, caffe; net = caffe.Net(sys.argv[1], caffe.TEST); print(*net.blobs[net.inputs[0]].shape)"


def main() -> int:
    """Run both engines, print what they differ by."""
    options = _options()
    caffe, ours = bvlc(find_caffe_python(options.caffe_python).path), torch()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shape = [int(size) for size in run(caffe, SHAPE, options.prototxt)]
        images = [
            *made_up(shape[1:], options.images),
            *(photograph(path, shape[1:]) for path in options.photographs),
        ]
        np.save(folder / "images.npy", np.stack(images))
        np.save(folder / "nudged.npy", np.stack([nudged(image, 1) for image in images]))
        for name, engine, data in (
            ("bvlc", caffe, "images"),
            ("torch", ours, "images"),
            ("nudged", caffe, "nudged"),
        ):
            (folder / name).mkdir()
            files = options.prototxt, options.weights, folder / f"{data}.npy", folder / name
            _, *outputs = run(engine, RUN, *files)
        return report(options.weights, folder, len(images), outputs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prototxt", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument(
        "--images", type=int, default=4, help="how many made-up ones, noise and smooth in turn"
    )
    parser.add_argument("--photographs", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--caffe-python", type=Path)
    return parser.parse_args()


def run(engine: ProbedEngine, code: str, *arguments: Path) -> list[str]:
    """The words of the last line that `code` prints. Ends this program with the engine's own words if it fails."""
    done = subprocess.run(
        [*engine.command, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, check=False, env={**os.environ, **ENVIRONMENT, **engine.environment},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"the engine {engine.name} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout.strip().splitlines()[-1].split()


def made_up(shape: Sequence[int], count: int) -> list[Array]:
    """C×H×W, about -128 to 127: noise, and smooth colours, in turn."""
    draw = np.random.default_rng(1)
    channels, height, width = shape
    found = []
    for number in range(count):
        if number % 2:
            coarse = draw.uniform(0, 255, (channels, 5, 7))
            image = np.stack(
                [cv2.resize(each, (width, height), interpolation=cv2.INTER_CUBIC) for each in coarse]
            )
        else:
            image = draw.uniform(0, 255, (channels, height, width))
        found.append((image - 128).astype(np.float32))
    return found


def photograph(path: Path, shape: Sequence[int]) -> Array:
    """The file as C×H×W BGR, or grey for one channel, scaled to the input, less ImageNet's mean."""
    channels, height, width = shape
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR)
    if pixels is None or channels not in (1, 3):
        sys.exit(
            f"{path} cannot be read as an image of {channels} channels: give a JPEG or PNG, and a net for images"
        )
    scaled = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    centred = scaled.reshape(height, width, channels) - (MEAN if channels == 3 else MEAN.mean())
    return np.ascontiguousarray(centred.transpose(2, 0, 1), np.float32)


def of_largest(theirs: Array, ours: Array) -> float:
    """The largest |a - b| by the largest |a|; infinite for unlike shapes, and where one alone is not finite."""
    if theirs.shape != ours.shape or not np.array_equal(np.isfinite(theirs), np.isfinite(ours)):
        return np.inf
    finite = np.isfinite(theirs)
    a, b = theirs[finite].astype(np.float64), ours[finite].astype(np.float64)
    apart, largest = np.abs(a - b).max(initial=0), np.abs(a).max(initial=0)
    return float(apart / largest if largest else np.inf if apart else 0)


def report(weights: Path, folder: Path, images: int, outputs: Sequence[str]) -> int:
    """Print all, the worst blobs first, and keep it with the other benchmarks' results; returns the exit code."""
    parameters, unequal = compare_parameters(folder)
    blobs: dict[
        str, tuple[float, float]
    ] = {}  # by LAYER|TOP: the engines' difference, and Caffe's from itself
    last: dict[str, tuple[float, float]] = {}  # the same of the outputs, by their stricter measure
    for number in range(images):
        theirs, ours, again = (
            np.load(folder / name / f"{number}.npz") for name in ("bvlc", "torch", "nudged")
        )
        if theirs.files != ours.files:
            sys.exit(f"the nets differ: {sorted(set(theirs.files) ^ set(ours.files))}")
        final = {key.split("|")[1]: key for key in theirs.files if key.split("|")[1] in outputs}
        for key in theirs.files:
            found = of_largest(theirs[key], ours[key]), of_largest(theirs[key], again[key])
            blobs[key] = worse(blobs.get(key), found)
        for output, key in final.items():
            found = difference(theirs[key], ours[key]), difference(theirs[key], again[key])
            last[output] = worse(last.get(output), found)
    ranking = sorted(blobs, key=lambda key: -blobs[key][0])
    for key in ranking[:SHOWN]:
        print(f"{key:50} {blobs[key][0]:8.1e}   Caffe from itself {blobs[key][1]:8.1e}")
    worst_blob, own_blob = (max(pair[which] for pair in blobs.values()) for which in (0, 1))
    worst_output, own_output = (max(pair[which] for pair in last.values()) for which in (0, 1))
    row = {
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(), "images": images,
        "parameters": parameters, "parameters_read_unlike": unequal, "blobs": len(blobs),
        "worst_blob": f"{worst_blob:.1e} ({ranking[0]})", "worst_output": f"{worst_output:.1e}",
        "caffe_from_itself_when_its_input_changes_in_the_last_bit":
            f"blobs {own_blob:.1e}, outputs {own_output:.1e}",
    }  # fmt: skip
    write_results(f"foreign_models_{weights.stem}", row)
    broken = worst_output > OUTPUT_TOLERANCE or worst_blob > BLOB_TOLERANCE
    return int(bool(unequal) or broken)


def compare_parameters(folder: Path) -> tuple[int, list[str]]:
    """How many there are, and which the engines did not read to the bit alike."""
    theirs, ours = (np.load(folder / engine / "parameters.npz") for engine in ("bvlc", "torch"))
    if set(theirs.files) != set(ours.files):
        sys.exit(f"only one engine has the parameters {sorted(set(theirs.files) ^ set(ours.files))}")
    unequal = [key for key in theirs.files if not np.array_equal(theirs[key], ours[key], equal_nan=True)]
    return len(theirs.files), unequal


def worse(so_far: tuple[float, float] | None, found: tuple[float, float]) -> tuple[float, float]:
    """The larger of each."""
    return found if so_far is None else (max(so_far[0], found[0]), max(so_far[1], found[1]))


if __name__ == "__main__":
    sys.exit(main())
