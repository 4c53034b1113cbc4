"""Random layers without bottoms that read no file."""

from random import Random

from batchbrew.parity.specimens.chance import Specimen, any_shape, maybe, shape
from batchbrew.proto import caffe_pb2 as pb


def dummy_data(random: Random) -> Specimen:
    tops = random.randint(1, 3)
    layer = pb.LayerParameter(type="DummyData", top=[f"top{index}" for index in range(tops)])
    parameter = layer.dummy_data_param
    many = random.choice([1, tops, tops, 2])
    if maybe(random, 0.5):
        parameter.shape.extend(pb.BlobShape(dim=any_shape(random)) for _ in range(many))
    else:
        for field in (parameter.num, parameter.channels, parameter.height, parameter.width):
            field.extend(shape(random, many))
    for _ in range(random.choice([0, 1, tops])):
        filler = parameter.data_filler.add()
        if maybe(random, 0.7):
            filler.value = random.choice([0.5, -3, 7])
    return Specimen([], layer)


def memory_data(random: Random) -> Specimen:
    layer = pb.LayerParameter(type="MemoryData", top=["d", "l"])
    parameter = layer.memory_data_param
    parameter.batch_size, parameter.channels, parameter.height, parameter.width = shape(random, 4)
    if maybe(random, 0.1):
        parameter.height = 0
    return Specimen([], layer)


def input_(random: Random) -> Specimen:
    tops = random.randint(1, 3)
    layer = pb.LayerParameter(type="Input", top=[f"top{index}" for index in range(tops)])
    layer.input_param.shape.extend(
        pb.BlobShape(dim=any_shape(random)) for _ in range(random.choice([1, tops, 2]))
    )
    return Specimen([], layer)
