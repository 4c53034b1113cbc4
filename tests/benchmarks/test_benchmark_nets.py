"""The benchmarks' nets: the generators' layers, fed by an Input or by an LMDB."""

from pathlib import Path

import pytest
from benchmark_nets import NETS, generated, resized, write_from_lmdb, write_synthetic

from batchbrew.errors import InputError
from batchbrew.nets.shapes import infer_shapes
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import read_prototxt


def net_of(solver: Path) -> pb.NetParameter:
    return read_prototxt(read_prototxt(solver, pb.SolverParameter).net, pb.NetParameter)


@pytest.mark.parametrize("name", NETS)
def test_synthetic_nets_have_the_generated_layers(name: str, tmp_path: Path) -> None:
    net = NETS[name]
    made = net_of(write_synthetic(net, tmp_path))
    whole = generated(net, "made-up").train_val
    theirs = [layer for layer in whole.layer if layer.type not in ("Data", "Accuracy")]
    assert list(made.layer)[1:] == theirs
    shapes = infer_shapes(made, pb.TRAIN)
    assert shapes.layers[0].tops == {"data": (net.batch, 3, net.crop, net.crop), "label": (net.batch,)}


def test_solver_trains_and_does_nothing_else(tmp_path: Path) -> None:
    solver = read_prototxt(write_synthetic(NETS["resnet50"], tmp_path), pb.SolverParameter)
    assert solver.iter_size == 1
    assert not solver.snapshot_after_train
    assert not (solver.test_iter or solver.snapshot or solver.display or solver.test_interval)


def test_net_from_an_lmdb_keeps_crop_and_mirror(tmp_path: Path) -> None:
    made = net_of(write_from_lmdb(NETS["alexnet"], tmp_path, tmp_path / "db"))
    (data,) = (layer for layer in made.layer if layer.type == "Data")
    assert (data.data_param.source, data.data_param.batch_size) == (str(tmp_path / "db"), 32)
    assert (data.transform_param.crop_size, data.transform_param.mirror) == (227, True)


def test_batches() -> None:
    nets = [NETS["alexnet"], NETS["resnet50"]]
    assert [net.batch for net in resized(nets, [], on_gpu=False)] == [32, 16]
    assert [net.batch for net in resized(nets, ["resnet50=7"], on_gpu=True)] == [512, 7]
    for wrong in ("resnet50", "resnet5=1", "resnet50=0", "resnet50=many"):
        with pytest.raises(InputError, match=f"--batch {wrong} is not NET=N"):
            list(resized(nets, [wrong], on_gpu=False))
