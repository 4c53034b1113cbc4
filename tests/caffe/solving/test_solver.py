"""A solver's loop: what it calls and when; its nets; what it refuses."""

from pathlib import Path
from typing import Any

import pytest

from batchbrew import caffe
from batchbrew.caffe.solving.solver import Solver
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.solver.schedule import learning_rate
from tests.caffe.solving.training_probe import draw_weights
from tests.conftest import RunCaffe

NET = """
name: "line"
layer { name: "data" type: "DummyData" top: "x" top: "y" dummy_data_param {
  shape { dim: 1 dim: 1 } data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 3 } } }
layer { name: "w" type: "InnerProduct" bottom: "x" top: "z" inner_product_param { num_output: 1 bias_term: false } }
layer { name: "loss" type: "EuclideanLoss" bottom: "z" bottom: "y" top: "loss" }
layer { name: "tested" type: "Silence" bottom: "z" include { phase: TEST stage: "a" not_stage: "b" min_level: 2 } }
"""
PLAIN = 'base_lr: 0.1 lr_policy: "fixed" max_iter: 6 display: 0 momentum: 0.5'


def solver_file(folder: Path, text: str = "", net: str | None = 'net: "NET"') -> Path:
    (folder / "net.prototxt").write_text(NET)
    path = folder / "solver.prototxt"
    path.write_text(f"{net or ''} {PLAIN} {text}".replace("NET", str(folder / "net.prototxt")))
    return path


def solver_of(folder: Path, text: str = "", net: str | None = 'net: "NET"') -> Solver:
    return caffe.get_solver(solver_file(folder, text, net))


def weight(solver: Solver) -> float:
    return float(solver.net.params["w"][0].data[0, 0])


def test_two_iterations_by_hand(tmp_path: Path) -> None:
    solver = solver_of(tmp_path)
    solver.step(1)
    # w = 0, loss = (w - 3)² / 2: gradient -3, V = -0.3
    assert solver.iter == 1
    assert weight(solver) == pytest.approx(0.3)
    assert solver.net.blobs["loss"].data == pytest.approx(4.5)
    assert solver.net.params["w"][0].diff[0, 0] == pytest.approx(-0.3)  # what was subtracted
    solver.step(1)
    # gradient -2.7, V = 0.5 · -0.3 - 0.27
    assert weight(solver) == pytest.approx(0.72)


def test_two_iterations_without_momentum(tmp_path: Path) -> None:
    path = solver_file(tmp_path)
    path.write_text(path.read_text().replace("momentum: 0.5", ""))
    solver = caffe.get_solver(path)
    solver.step(2)
    assert weight(solver) == pytest.approx(0.3 + 0.27)
    assert solver.net.params["w"][0].diff[0, 0] == pytest.approx(-0.27)


def test_the_order_of_an_iteration(tmp_path: Path) -> None:
    solver = solver_of(tmp_path, "test_iter: 1 test_interval: 2 snapshot: 2 iter_size: 2")
    told: list[Any] = []
    solver.net.before_forward(lambda layer: told.append("forward") if layer == 0 else None)
    solver.net.after_backward(lambda layer: told.append("backward") if layer == 0 else None)
    solver.test_nets[0].before_forward(lambda layer: told.append("test") if layer == 0 else None)
    solver.add_callback(lambda: told.append(("start", solver.iter)), lambda: told.append("gradients"))
    solver.add_callback(lambda: told.append("second"), lambda: told.append(weight(solver)))
    passes = ["forward", "backward"] * 2
    solver.step(2)
    first, second = told.index("gradients") + 1, len(told) - 1
    assert [each for i, each in enumerate(told) if i not in (first, second)] == [
        "test", ("start", 0), "second", *passes, "gradients", ("start", 1), "second", *passes, "gradients",
    ]  # fmt: skip
    assert (told[first], told[second]) == (0, pytest.approx(0.3))
    assert (tmp_path / "solver_iter_2.caffemodel").exists()


@pytest.mark.parametrize(
    ("text", "tests", "snapshots"),
    [
        ("test_interval: 3", [0, 3, 6], [6]),
        ("test_interval: 3 test_initialization: false", [3, 6], [6]),
        ("test_interval: 4 snapshot: 3", [0, 4], [3, 6]),
        ("test_interval: 9 snapshot: 4", [0], [4, 6]),
        ("test_interval: 9 snapshot: 4 snapshot_after_train: false", [0], [4]),
    ],
)
def test_when_it_tests_and_takes_snapshots(
    text: str, tests: list[int], snapshots: list[int], tmp_path: Path
) -> None:
    solver = solver_of(tmp_path, f"test_iter: 1 {text}")
    tested: list[int] = []
    solver.test_nets[0].before_forward(lambda layer: tested.append(solver.iter) if layer == 0 else None)
    solver.solve()
    assert (tested, solver.iter) == (tests, 6)
    written = sorted(int(path.stem.rpartition("_")[2]) for path in tmp_path.glob("*.caffemodel"))
    assert written == snapshots


def test_after_the_end_the_loss_is_shown_once_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = solver_file(tmp_path, "average_loss: 2")
    path.write_text(path.read_text().replace("display: 0", "display: 3"))
    solver = caffe.get_solver(path)
    losses: list[float] = []
    solver.add_callback(lambda: None, lambda: losses.append(float(solver.net.blobs["loss"].data)))
    caffe.init_log()
    solver.solve()
    losses.append(float(solver.net.blobs["loss"].data))
    lines = [line.rpartition("] ")[2] for line in capsys.readouterr().err.splitlines() if "loss =" in line]
    name, _, shown = lines[-1].rpartition(" ")
    assert name == "Iteration 6, loss ="
    assert float(shown) == pytest.approx((losses[-1] + losses[-2]) / 2, rel=1e-4)


def test_what_a_callback_raises_ends_the_step(tmp_path: Path) -> None:
    solver = solver_of(tmp_path)

    def stop() -> None:
        if solver.iter == 2:
            raise KeyError("enough")

    solver.add_callback(stop, lambda: None)
    with pytest.raises(KeyError, match="enough"):
        solver.solve()
    assert solver.iter == 2
    before = weight(solver)
    solver._callbacks.clear()
    solver.step(1)
    assert solver.iter == 3 and weight(solver) != before


def test_callbacks_are_functions_or_an_object(tmp_path: Path) -> None:
    solver = solver_of(tmp_path)
    for wrong in ((lambda: None,), (1, 2), (lambda: None, 3)):
        with pytest.raises(TypeError, match="two functions"):
            solver.add_callback(*wrong)


def test_apply_update_counts_as_an_iteration(tmp_path: Path) -> None:
    solver = solver_of(tmp_path)
    solver.net.params["w"][0].diff[...] = 2
    solver.apply_update()
    assert solver.iter == 1  # as in real pycaffe
    assert weight(solver) == pytest.approx(-0.2)


def test_test_nets_have_the_weights_of_the_training_net(tmp_path: Path) -> None:
    solver = solver_of(tmp_path, "test_iter: 2 test_interval: 100")
    solver.step(2)
    other = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    solver.share_weights(other)
    solver.test_nets[0].forward()
    other.forward()
    assert solver.test_nets[0].blobs["z"].data == other.blobs["z"].data == pytest.approx(0.72)
    solver.step(1)
    other.forward()
    assert float(other.blobs["z"].data[0, 0]) == pytest.approx(weight(solver))


def test_weights_of_the_prototxt_are_loaded_into_all_nets(tmp_path: Path) -> None:
    first = solver_of(tmp_path)
    first.net.params["w"][0].data[...] = 5
    first.net.save(tmp_path / "w.caffemodel")
    solver = solver_of(
        tmp_path, f'weights: "{tmp_path}/w.caffemodel, {tmp_path}/w.caffemodel" test_iter: 1 test_interval: 1'
    )
    assert weight(solver) == 5
    assert solver.test_nets[0].params["w"][0].data == 5


def test_states_choose_layers(tmp_path: Path) -> None:
    def has_layer(text: str) -> bool:
        return (
            "tested" in solver_of(tmp_path, f"test_iter: 1 test_interval: 1 {text}").test_nets[0].layer_dict
        )

    assert has_layer('test_state { stage: "a" level: 2 }')
    assert not has_layer('test_state { stage: "a" level: 1 }')
    assert not has_layer('test_state { stage: "a" stage: "b" level: 2 }')
    assert not has_layer("test_state { level: 2 }")
    assert not has_layer("")
    trained = solver_of(tmp_path, 'train_state { phase: TEST stage: "a" level: 3 }').net
    assert "tested" in trained.layer_dict


def test_a_net_files_own_stages_count_too(tmp_path: Path, run_caffe: RunCaffe) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(f'state {{ stage: "a" }} {NET}')
    code = (
        "import caffe, json, sys\n"
        "print(json.dumps(list(caffe.Net(sys.argv[1], caffe.TEST, level=2).layer_dict)))"
    )
    assert run_caffe(code, path) == list(caffe.Net(str(path), caffe.TEST, level=2).layer_dict)
    assert "tested" in caffe.Net(str(path), caffe.TEST, level=2).layer_dict


def test_which_nets_are_trained_and_tested(tmp_path: Path) -> None:
    inside = NET.replace('"line"', '"inside"')
    several = solver_of(
        tmp_path,
        f"test_net_param {{ {inside} }} "
        'test_net: "NET" test_iter: 1 test_iter: 2 test_iter: 3 test_interval: 5',
    )
    assert [net.name for net in several.test_nets] == ["inside", "line", "line"]
    trained = solver_of(tmp_path, f"train_net_param {{ {inside} }}", net=None)
    assert (trained.net.name, trained.test_nets) == ("inside", [])
    assert solver_of(tmp_path, 'train_net: "NET"', net=None).net.name == "line"
    both = solver_of(tmp_path, f"net_param {{ {inside} }} test_iter: 1 test_interval: 1", net=None)
    assert (both.net.name, both.test_nets[0].name) == ("inside", "inside")
    assert (both.net.phase, both.test_nets[0].phase) == (caffe.TRAIN, caffe.TEST)


@pytest.mark.parametrize(
    ("text", "net", "said"),
    [
        ("", None, "none"),
        ('train_net: "NET"', 'net: "NET"', "net, train_net"),
        ("", 'net: "gone.prototxt"', "gone.prototxt, which is not there"),
        ("test_iter: 1", 'net: "NET"', "test_interval"),
        ('test_net: "NET" test_interval: 1', 'net: "NET"', "1 test nets, but 0 test_iter"),
        ("test_iter: 1 test_interval: 1", 'train_net: "NET"', "0 test nets, but 1 test_iter"),
        ("test_iter: 1 test_interval: 1 test_state { } test_state { }", 'net: "NET"', "2 test_state for 1"),
        ("average_loss: 0", 'net: "NET"', "average_loss must be at least 1, not 0"),
        ("iter_size: 0", 'net: "NET"', "iter_size must be at least 1, not 0"),
        ('type: "Adamm"', 'net: "NET"', "'Adamm' is unknown: Caffe knows SGD"),
        ('type: "AdaGrad"', 'net: "NET"', "AdaGrad takes no momentum, but momentum is 0.5"),
        ('type: "RMSProp"', 'net: "NET"', "RMSProp takes no momentum"),
        ('type: "SGD" solver_type: ADAM', 'net: "NET"', "keep type"),
        (
            'snapshot: 5 snapshot_prefix: "no/such/folder/s"',
            'net: "NET"',
            "cannot be written to no/such/folder",
        ),
        ("gamma: many", 'net: "NET"', "solver.prototxt"),
    ],
)
def test_what_cannot_be_trained_is_told_in_one_line(
    text: str, net: str | None, said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as refused:
        solver_of(tmp_path, text, net)
    assert said in str(refused.value) and "solver" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('weight_decay: 0.1 regularization_type: "L3"', "regularization_type 'L3' is unknown"),
        ('lr_policy: "never"', "lr_policy 'never' is unknown"),
        ('lr_policy: "step"', "needs a stepsize"),
    ],
)
def test_what_cannot_be_computed_changes_nothing(text: str, said: str, tmp_path: Path) -> None:
    path = solver_file(tmp_path, text)
    path.write_text(path.read_text().replace('lr_policy: "fixed"', "", "lr_policy" in text))
    solver = caffe.get_solver(path)
    with pytest.raises(InputError, match=said):
        solver.step(1)
    assert (solver.iter, weight(solver)) == (0, 0)


def test_old_types_and_classes(tmp_path: Path) -> None:
    old = {0: "SGD", 1: "Nesterov", 4: "AdaDelta", 5: "Adam"}
    for number, name in old.items():
        solver = solver_of(tmp_path, f"solver_type: {pb.SolverParameter.SolverType.Name(number)}")
        assert type(solver) is getattr(caffe, f"{name}Solver")
        assert solver.param.type == name
    made = caffe.NesterovSolver(str(solver_file(tmp_path, 'type: "Adam"')))  # a class means what it says
    assert (made.type, len(made._updater.history)) == ("Nesterov", 1)


def test_prefixes_of_snapshots(tmp_path: Path) -> None:
    assert solver_of(tmp_path).param.snapshot_prefix == str(tmp_path / "solver")
    folder = tmp_path / "there"
    folder.mkdir()
    solver = solver_of(tmp_path, f'snapshot_prefix: "{folder}"')
    assert solver.param.snapshot_prefix == str(folder / "solver")


def test_other_solvers_than_the_first_write_nothing(tmp_path: Path) -> None:
    caffe.set_solver_count(2)
    try:
        caffe.set_solver_rank(1)
        solver = solver_of(tmp_path, "test_iter: 1 test_interval: 1")
        solver.test_nets[0].before_forward(lambda layer: pytest.fail("it tests"))
        solver.solve()
    finally:
        caffe.set_solver_rank(0)
        caffe.set_solver_count(1)
    assert not list(tmp_path.glob("*.caffemodel"))


def test_the_rate_to_come(tmp_path: Path) -> None:
    policies = [
        '"multistep" gamma: 0.1 stepvalue: 1 stepvalue: 3',
        '"poly" power: 2',
        '"step" gamma: 0.5 stepsize: 2',
    ]
    for policy in policies:
        path = solver_file(tmp_path)
        path.write_text(path.read_text().replace('"fixed"', policy))
        solver = caffe.get_solver(path)
        for iteration in range(6):
            assert solver.lr == learning_rate(solver.param, iteration)
            solver.step(1)


def test_a_step_that_was_counted_stays_counted(tmp_path: Path, run_caffe: RunCaffe) -> None:
    """As in Caffe, the state knows how many stepvalues are past, even if others are written later."""
    path = solver_file(tmp_path)
    path.write_text(path.read_text().replace('"fixed"', '"multistep" gamma: 0.1 stepvalue: 1'))
    solver = caffe.get_solver(path)
    solver.step(2)
    solver.snapshot()
    path.write_text(path.read_text().replace("stepvalue: 1", "stepvalue: 1000"))
    code = (
        "import caffe, json, sys\ns = caffe.get_solver(sys.argv[1]); s.restore(sys.argv[2]); s.step(2)\n"
        "print(json.dumps(float(s.net.params['w'][0].data[0, 0])))"
    )
    state = tmp_path / "solver_iter_2.solverstate"
    solver = caffe.get_solver(path)
    solver.restore(state)
    assert solver.lr == pytest.approx(0.01)
    solver.step(2)
    assert weight(solver) == pytest.approx(run_caffe(code, path, state), rel=1e-6)


def test_seeds_make_weights_repeatable(tmp_path: Path) -> None:
    filled = NET.replace("bias_term: false", 'weight_filler { type: "xavier" }')
    drawn = []
    for seed in (1, 1, 2):
        path = solver_file(tmp_path, f"random_seed: {seed}")
        (tmp_path / "net.prototxt").write_text(filled)
        drawn.append(weight(caffe.get_solver(path)))
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_net_without_parameters(tmp_path: Path) -> None:
    path = solver_file(tmp_path, "clip_gradients: 1")
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 } } }'
    )
    solver = caffe.get_solver(path)
    draw_weights(solver.net)
    solver.step(2)
    assert solver.iter == 2
