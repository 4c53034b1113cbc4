"""The nets written by hand in PyTorch are those of the prototxts: as many parameters, and the same numbers."""

import dataclasses
from pathlib import Path

import plain_nets
import pytest
import torch
from benchmark_nets import NETS, generated, write_synthetic
from plain_nets import PLAIN_NETS, parameters_of, statistics_of
from torch.nn import functional

import batchbrew.caffe as caffe
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import read_prototxt, write_prototxt

# The least at which each net has several pixels left, where that is cheap.
SMALL = {"alexnet": 67, "vgg19": 32, "resnet10": 64, "resnet50": 64}


NARROW = 32  # in place of the 4096 of AlexNet and VGG19


def narrow(file: Path) -> None:
    net = read_prototxt(file, pb.NetParameter)
    for layer in net.layer:
        if layer.inner_product_param.num_output == plain_nets.FULLY_CONNECTED:
            layer.inner_product_param.num_output = NARROW
    write_prototxt(file, net)


@pytest.mark.parametrize("name", NETS)
def test_as_many_parameters_as_the_prototxt(name: str) -> None:
    net = NETS[name]
    with torch.device("meta"):
        plain = PLAIN_NETS[name](net.classes, net.crop)
    cost = generated(net, "made-up").cost
    assert (parameters_of(plain), statistics_of(plain)) == (cost.learned, cost.statistics)


@pytest.mark.parametrize("name", NETS)
def test_the_same_loss_and_gradient(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same weights: they stand in the same order in both."""
    net = dataclasses.replace(NETS[name], batch=6, crop=SMALL[name], classes=7)
    solver_file = write_synthetic(net, tmp_path)
    narrow(tmp_path / "train_val.prototxt")
    monkeypatch.setattr(plain_nets, "FULLY_CONNECTED", NARROW)
    solver = caffe.get_solver(str(solver_file))
    draw = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (net.batch, 3, net.crop, net.crop), generator=draw).float()
    labels = torch.randint(0, net.classes, (net.batch,), generator=draw)
    ours = solver.net
    ours.blobs["data"].data[...], ours.blobs["label"].data[...] = images.numpy(), labels.numpy()
    plain = PLAIN_NETS[name](net.classes, net.crop).train()
    types = dict(zip(ours._layer_names, (layer.type for layer in ours.layers), strict=True))
    learned = [blob for each, blobs in ours.params.items() if types[each] != "BatchNorm" for blob in blobs]
    parameters = list(plain.parameters())
    for blob, parameter in zip(learned, parameters, strict=True):
        with torch.no_grad():  # a ResNet's last weights are 0 at first, and then nothing before them learns
            values = torch.from_numpy(blob.data).reshape(parameter.shape)
            parameter.copy_(values if values.any() else torch.randn(values.shape, generator=draw) * 0.1)
        blob.data[...] = parameter.detach().reshape(blob.data.shape).numpy()
    loss = functional.cross_entropy(plain(images), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    ours.forward()
    ours.backward()
    assert float(ours.blobs["loss"].data) == pytest.approx(loss.item(), rel=1e-3)
    expected = parameters[-2].grad  # further down, rounding grows with every BatchNorm over so few numbers
    assert expected is not None
    assert learned[-2].diff == pytest.approx(expected.numpy(), rel=0, abs=1e-3 * float(expected.abs().max()))
