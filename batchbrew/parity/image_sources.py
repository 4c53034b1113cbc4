"""Cases of the layers that read images: a tiny LMDB, files, windows; several passes, so that they begin again."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

import cv2
import lmdb
import numpy as np

from batchbrew.parity.case import Case, Pass
from batchbrew.parity.specimens.chance import maybe
from batchbrew.parity.specimens.values import Array
from batchbrew.proto import caffe_pb2 as pb

PASSES = 3
LMDB_BYTES = 2**24

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]  # H×W×C, BGR


def data_case(kind: str, seed: int, number: int) -> Case:
    """Data: raw, floating and encoded records, one size or, where they are cropped, several."""
    random = Random(f"{seed} {kind} {number}")
    net, layer, phase = _source(random, kind)
    layer.data_param.source, layer.data_param.backend = "../data", pb.DataParameter.LMDB
    layer.data_param.batch_size = random.randint(1, 4)
    form = random.choice(["raw", "raw", "float", ".png", ".jpg"])
    channels = random.choice([1, 3])
    encoded = form.startswith(".")
    if encoded and maybe(random, 0.6):
        if maybe(random, 0.6):
            layer.transform_param.force_color, channels_out = True, 3
        else:
            layer.transform_param.force_gray, channels_out = True, 1
    else:
        channels_out = channels
    files: dict[str, bytes] = {}
    one_size = _transform(random, layer, files, channels_out, phase, may_draw=not encoded)
    pictures = _pictures(random, channels, one_size)
    if one_size and maybe(random, 0.05):
        pictures[-1] = _picture(random, 20, 21, channels)  # refused where another size follows
    records = [_record(random, picture, form) for picture in pictures]
    files["data/data.mdb"] = lmdb_data(records)
    shown = [_as_floats(picture) for picture in pictures] if not encoded else []
    return _case(kind, seed, number, net, phase, files, shown)


def image_data_case(kind: str, seed: int, number: int) -> Case:
    """ImageData: files that a list names, resized or not."""
    random = Random(f"{seed} {kind} {number}")
    net, layer, phase = _source(random, kind)
    parameter = layer.image_data_param
    parameter.source, parameter.root_folder = "../list.txt", "../images/"
    parameter.batch_size = random.randint(1, 4)
    parameter.is_color = maybe(random, 0.7)
    resized = maybe(random, 0.5)
    files: dict[str, bytes] = {}
    one_size = _transform(random, layer, files, 3 if parameter.is_color else 1, phase)
    if resized:
        size = (16, 18) if one_size else (random.randint(12, 30), random.randint(12, 30))
        parameter.new_height, parameter.new_width = size
    channels = random.choice([1, 3])
    pictures = _pictures(random, channels, one_size and not resized)
    extension = random.choice([".png", ".jpg"])
    for index, picture in enumerate(pictures):
        files[f"images/{index} of them{extension}"] = _encoded(extension, picture)
    lines = [f"{index} of them{extension} {random.randint(0, 9)}" for index in range(len(pictures))]
    files["list.txt"] = ("\n".join(lines) + "\n").encode()
    return _case(kind, seed, number, net, phase, files, [])


def window_data_case(kind: str, seed: int, number: int) -> Case:
    """WindowData draws windows at random: of one in the foreground and one in the background it can draw no other."""
    random = Random(f"{seed} {kind} {number}")
    net, layer, phase = _source(random, kind)
    parameter = layer.window_data_param
    parameter.source, parameter.root_folder = "../windows.txt", random.choice(["../", ""])
    parameter.batch_size = random.randint(1, 5)
    files: dict[str, bytes] = {}
    _transform(random, layer, files, 3, phase, always_cropped=True)
    parameter.fg_fraction = random.choice([0.25, 0.5, 0.7])
    if maybe(random, 0.5):
        parameter.crop_mode = random.choice(["warp", "square"])
    if maybe(random, 0.5):
        parameter.context_pad = random.randint(1, 3)
    parameter.cache_images = maybe(random)
    height, width = random.randint(24, 40), random.randint(24, 40)
    files["window.png"] = _encoded(".png", _picture(random, height, width, 3))
    boxes = [_box(random, height, width) for _ in range(2)]
    path = "window.png" if parameter.root_folder else "../window.png"
    files["windows.txt"] = "\n".join(
        [
            "# 0",
            path,
            "3",
            str(height),
            str(width),
            "2",
            f"{random.randint(1, 9)} 0.9 {boxes[0]}",
            f"0 0.1 {boxes[1]}",
            "",
        ]
    ).encode()
    return _case(kind, seed, number, net, phase, files, [])


def _source(random: Random, kind: str) -> tuple[pb.NetParameter, pb.LayerParameter, int]:
    net = pb.NetParameter(name="source")
    tops = (
        ["data", "label"] if kind == "WindowData" or maybe(random, 0.8) or kind == "ImageData" else ["data"]
    )
    layer = net.layer.add(name="tested", type=kind, top=tops)
    return net, layer, pb.TEST if maybe(random, 0.65) else pb.TRAIN


def _transform(
    random: Random,
    layer: pb.LayerParameter,
    files: dict[str, bytes],
    channels: int,
    phase: int,
    *,
    always_cropped: bool = False,
    may_draw: bool = False,
) -> bool:
    """Set transform_param; must all images have the size 16×18?

    `may_draw`: may it mirror at random, and crop at random in TRAIN?
    """
    parameter = layer.transform_param
    cropped = always_cropped or ((may_draw or phase == pb.TEST) and maybe(random, 0.5))
    if cropped:
        parameter.crop_size = random.randint(5, 12)
    if may_draw and maybe(random, 0.25):
        parameter.mirror = True
    if maybe(random, 0.5):
        parameter.scale = random.choice([1 / 255, 0.5, 2])
    what = random.choice(["nothing", "values", "values", "file"])
    if what == "values":
        count = random.choice([1, channels])
        parameter.mean_value.extend(round(random.uniform(80, 150), 2) for _ in range(count))
        if maybe(random, 0.05):
            parameter.mean_value.append(100)  # two, four: refused
    if what == "file":
        parameter.mean_file = "../mean.binaryproto"
        side = (parameter.crop_size,) * 2 if always_cropped else (16, 18)
        count = channels * side[0] * side[1]
        mean = [random.uniform(80, 150) for _ in range(count)]
        blob = pb.BlobProto(data=mean, num=1, channels=channels, height=side[0], width=side[1])
        files["mean.binaryproto"] = blob.SerializeToString()
    return not cropped or what == "file"


def _pictures(random: Random, channels: int, one_size: bool) -> list[Pixels]:
    def length(exact: int) -> int:
        return exact if one_size else random.randint(12, 24)

    return [_picture(random, length(16), length(18), channels) for _ in range(random.randint(2, 5))]


def _picture(random: Random, height: int, width: int, channels: int) -> Pixels:
    """Soft shapes, which JPEG keeps, and a little noise."""
    generator = np.random.default_rng(random.getrandbits(64))
    coarse = generator.integers(0, 256, (4, 5, channels), dtype=np.uint8)
    soft = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
    noise = generator.integers(0, 8, (height, width, channels))
    return np.asarray(np.minimum(soft.reshape(height, width, channels) + noise, 255), np.uint8)


def _encoded(extension: str, picture: Pixels) -> bytes:
    done, data = cv2.imencode(extension, picture)
    assert done
    return data.tobytes()


def _as_floats(picture: Pixels) -> Array:
    """C×H×W."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.float32)


def _record(random: Random, picture: Pixels, form: str) -> bytes:
    height, width, channels = picture.shape
    datum = pb.Datum(channels=channels, height=height, width=width, label=random.randint(0, 9))
    pixels = picture.transpose(2, 0, 1)
    if form == "raw":
        datum.data = pixels.tobytes()
    elif form == "float":
        datum.float_data.extend(pixels.ravel().tolist())
    else:
        datum.data, datum.encoded = _encoded(form, picture), True
        if maybe(random, 0.5):
            datum.ClearField("channels")
    wire: bytes = datum.SerializeToString()
    return wire


def lmdb_data(records: Sequence[bytes]) -> bytes:
    """The file data.mdb."""
    with tempfile.TemporaryDirectory() as folder:
        with (
            lmdb.open(folder, map_size=LMDB_BYTES) as environment,
            environment.begin(write=True) as transaction,
        ):
            for index, record in enumerate(records):
                transaction.put(b"%08d" % index, record)
        return Path(folder, "data.mdb").read_bytes()


def _box(random: Random, height: int, width: int) -> str:
    """Left, top, right, bottom."""
    left, top = random.randint(0, width - 10), random.randint(0, height - 10)
    right, bottom = random.randint(left + 4, width - 1), random.randint(top + 4, height - 1)
    return f"{left} {top} {right} {bottom}"


def _case(
    kind: str,
    seed: int,
    number: int,
    net: pb.NetParameter,
    phase: int,
    files: dict[str, bytes],
    pictures: Sequence[Array],
) -> Case:
    transform = net.layer[0].transform_param
    drawn = transform.mirror or (phase == pb.TRAIN and transform.crop_size > 0 and kind != "WindowData")
    return Case(
        kind=kind,
        seed=seed,
        number=number,
        net=net,
        phase=phase,
        passes=[Pass(backward=False)] * PASSES,
        files=files,
        random=drawn,
        pictures=pictures if drawn else (),
    )
