"""Cases of the layers with files of numbers, or of Python, beside the prototxt."""

import io
from random import Random

import h5py
import numpy as np

from batchbrew.parity.case import Case, Pass
from batchbrew.parity.specimens.chance import any_shape, maybe
from batchbrew.parity.specimens.loss_specimens import normalisation
from batchbrew.parity.specimens.values import integers, usual
from batchbrew.proto import caffe_pb2 as pb

LAYER = "tested"
HDF5_TYPES = ("f4", "f4", "f8", "i4")
PYTHON_LAYER = b'''
import caffe


class Scaled(caffe.Layer):
    """Multiplies by the number in param_str and by a learned one; in TEST adds 1."""

    def setup(self, bottom, top):
        if len(bottom) != len(top):
            raise Exception("needs as many bottoms as tops")
        self.factor = float(self.param_str)
        self.blobs.add_blob(1)
        self.blobs[0].data[...] = 2

    def reshape(self, bottom, top):
        for index in range(len(bottom)):
            top[index].reshape(*bottom[index].data.shape)

    def forward(self, bottom, top):
        for index in range(len(bottom)):
            top[index].data[...] = bottom[index].data * self.factor * self.blobs[0].data[0]
            if self.phase == caffe.TEST:
                top[index].data[...] += 1

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] = 0
        for index in range(len(bottom)):
            if propagate_down[index]:
                bottom[index].diff[...] = top[index].diff * self.factor * self.blobs[0].data[0]
            self.blobs[0].diff[0] += (top[index].diff * bottom[index].data).sum() * self.factor
'''


def hdf5_data_case(kind: str, seed: int, number: int) -> Case:
    """Tops of any shape, from several files whose rows are no multiple of the batch."""
    random = Random(f"{seed} {kind} {number}")
    generator = np.random.default_rng(random.getrandbits(64))
    tops = ["one", "two", "three"][: random.randint(1, 3)]
    layer = pb.LayerParameter(name=LAYER, type=kind, top=tops)
    layer.hdf5_data_param.source, layer.hdf5_data_param.batch_size = "../files.txt", random.randint(1, 5)
    shapes = [any_shape(random, 0, 3) for _ in tops]
    types = [random.choice(HDF5_TYPES) for _ in tops]
    files: dict[str, bytes] = {}
    for index in range(random.randint(1, 3)):
        rows = random.randint(1, 6)
        content = io.BytesIO()
        with h5py.File(content, "w") as file:
            for top, shape, dtype in zip(tops, shapes, types, strict=True):
                length = rows + 1 if maybe(random, 0.02) else rows
                file[top] = (10 * usual(generator, (length, *shape))).astype(dtype)
        files[f"{index}.h5"] = content.getvalue()
    files["files.txt"] = "".join(f"../{name}\n" for name in files).encode()
    phase = random.choice([pb.TRAIN, pb.TEST])
    passes = [Pass(backward=False)] * random.randint(2, 5)
    return Case(kind, seed, number, pb.NetParameter(layer=[layer]), phase, passes, files=files)


def hdf5_output_case(kind: str, seed: int, number: int) -> Case:
    """What it writes is compared, too. A second pass finds its data sets there already, and ends Caffe."""
    random = Random(f"{seed} {kind} {number}")
    generator = np.random.default_rng(random.getrandbits(64))
    items = random.randint(1, 4)
    shapes = [(items, *any_shape(random, 0, 3)), (items, *any_shape(random, 0, 1))]
    net = _net_of_inputs([list(shape) for shape in shapes])
    layer = net.layer.add(name=LAYER, type=kind, bottom=["in0", "in1"])
    layer.hdf5_output_param.file_name = "out.h5"
    data = {f"in{index}": usual(generator, shape) for index, shape in enumerate(shapes)}
    passes = [Pass(data, backward=False)] * (2 if maybe(random, 0.05) else 1)
    return Case(kind, seed, number, net, random.choice([pb.TRAIN, pb.TEST]), passes)


def python_case(kind: str, seed: int, number: int) -> Case:
    """A layer of the user's own, with a blob to learn."""
    random = Random(f"{seed} {kind} {number}")
    generator = np.random.default_rng(random.getrandbits(64))
    shapes = [any_shape(random, 1, 4) for _ in range(random.randint(1, 2))]
    net = _net_of_inputs([list(shape) for shape in shapes])
    net.force_backward = maybe(random, 0.7)
    names = [f"in{index}" for index in range(len(shapes))]
    tops = [f"top{index}" for index in range(len(shapes))]
    layer = net.layer.add(name=LAYER, type=kind, bottom=names, top=tops[: 1 if maybe(random, 0.05) else 2])
    layer.python_param.module, layer.python_param.layer = "parity_layer", "Scaled"
    layer.python_param.param_str = random.choice(["0.5", "-3", "2"])
    if not net.force_backward:
        layer.loss_weight.extend(random.choice([1, 0.5]) for _ in layer.top)
    passes = []
    for _ in range(random.randint(1, 2)):
        data = {name: usual(generator, shape) for name, shape in zip(names, shapes, strict=True)}
        diffs = {name: usual(generator, shape) for name, shape in zip(layer.top, shapes, strict=False)}
        passes.append(Pass(data, diffs if net.force_backward else {}))
    phase = random.choice([pb.TRAIN, pb.TEST])
    return Case(kind, seed, number, net, phase, passes, files={"parity_layer.py": PYTHON_LAYER})


def infogain_file_case(kind: str, seed: int, number: int) -> Case:
    """InfogainLoss whose matrix comes from a file."""
    random = Random(f"{seed} {kind} {number}")
    generator = np.random.default_rng(random.getrandbits(64))
    images, classes = random.randint(1, 4), random.randint(1, 5)
    shapes = [(images, classes, *any_shape(random, 0, 2))]
    shapes.append((images, *shapes[0][2:]))
    net = _net_of_inputs([list(shape) for shape in shapes])
    net.force_backward = True
    layer = net.layer.add(name=LAYER, type="InfogainLoss", bottom=["in0", "in1"], top=["loss"])
    layer.infogain_loss_param.source = "../matrix.binaryproto"
    normalisation(random, layer.loss_param)
    if maybe(random):
        layer.loss_param.ignore_label = 0
    size = classes + maybe(random, 0.05)
    matrix = pb.BlobProto(
        data=generator.uniform(0.1, 2, size * size).tolist(), num=1, channels=1, height=size, width=size
    )
    data = {"in0": usual(generator, shapes[0]), "in1": integers(classes)(generator, shapes[1])}
    phase = random.choice([pb.TRAIN, pb.TEST])
    files = {"matrix.binaryproto": matrix.SerializeToString()}
    return Case(kind, seed, number, net, phase, [Pass(data)], files=files)


def _net_of_inputs(shapes: list[list[int]]) -> pb.NetParameter:
    net = pb.NetParameter(name="arrays")
    inputs = pb.InputParameter(shape=[pb.BlobShape(dim=shape) for shape in shapes])
    names = [f"in{index}" for index in range(len(shapes))]
    net.layer.add(name="input", type="Input", top=names, input_param=inputs)
    return net
