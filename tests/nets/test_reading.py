"""Networks and solvers from files, old and new."""

from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.nets.reading import read_network
from batchbrew.proto import caffe_pb2 as pb

NET = 'layer { name: "x" type: "Input" top: "x" }'
OLD_NET = 'input: "x" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4 layers { name: "r" type: RELU bottom: "x" }'


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def layer_names(path: Path, phase: pb.Phase = pb.TRAIN) -> list[str]:
    return [layer.name for layer in read_network(path, phase).net.layer]


def test_old_networks_come_in_todays_form(tmp_path: Path) -> None:
    assert layer_names(write(tmp_path, "net.prototxt", OLD_NET)) == ["input", "r"]


def test_solver_leads_to_its_net(tmp_path: Path) -> None:
    net = write(tmp_path, "net.prototxt", NET)
    solver = write(
        tmp_path, "solver.prototxt", f'net: "{net}" base_lr: 0.1 train_state {{ stage: "s" level: 2 }}'
    )
    file = read_network(solver)
    assert (file.path, list(file.net.state.stage), file.net.state.level) == (net, ["s"], 2)
    assert not read_network(solver, pb.TEST).net.state.stage


def test_net_beside_a_solver_that_was_moved(tmp_path: Path) -> None:
    net = write(tmp_path, "moved/net.prototxt", NET)
    solver = write(tmp_path, "moved/solver.prototxt", 'net: "models/net.prototxt" base_lr: 0.1')
    assert read_network(solver).path == net


def test_test_nets_of_a_solver(tmp_path: Path) -> None:
    write(tmp_path, "train.prototxt", NET)
    write(tmp_path, "test.prototxt", NET.replace('"x"', '"y"'))
    solver = write(
        tmp_path,
        "solver",
        'train_net: "train.prototxt" test_net: "test.prototxt" test_state { stage: "t" } test_iter: 1',
    )
    assert (layer_names(solver), layer_names(solver, pb.TEST)) == (["x"], ["y"])
    assert list(read_network(solver, pb.TEST).net.state.stage) == ["t"]


def test_net_inside_a_solver(tmp_path: Path) -> None:
    assert layer_names(write(tmp_path, "solver", f"net_param {{ {NET} }} base_lr: 1")) == ["x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no layers: give the prototxt of a network or of a solver"),
        ("base_lr: 0.1", r"is a solver that names no net"),
        ('net: "gone.prototxt" base_lr: 0.1', r"names the net gone.prototxt, which is not there"),
        ("layer { nam: 1 }", r'1:9: LayerParameter has no field "nam"'),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_network(write(tmp_path, "file.prototxt", text))
