import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2
from batchbrew.proto.text import read_prototxt
from batchbrew.training import run_folder
from batchbrew.training.run_folder import RunFolder, RunSettings, create_run, open_run
from tests.training.conftest import TinyModel

Make = Callable[..., TinyModel]


def settings(seed: int = 7, gpu: int | None = None) -> RunSettings:
    return RunSettings(seed=seed, gpu=gpu, working_directory=str(Path.cwd()))


def create(model: TinyModel, *, seed: int = 7, gpu: int | None = None) -> RunFolder:
    return create_run(model.folder / "run", model.solver, settings(seed, gpu))


def test_a_run_holds_copies_that_name_each_other(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 5010")
    (model.folder / "deploy.prototxt").write_text('name: "deployed"\n')
    with create(model, seed=11, gpu=3) as folder:
        root = folder.root
        assert folder.name == "tiny"
    model.net.unlink()
    solver = read_prototxt(root / "solver.prototxt", caffe_pb2.SolverParameter)
    assert solver.net == str(root / "train_val.prototxt")
    assert Path(solver.net).is_file()
    assert (root / "deploy.prototxt").read_text() == 'name: "deployed"\n'
    assert solver.snapshot_prefix == str(root / "snapshots" / "tiny")
    assert solver.snapshot == 251  # 20 snapshots of a run whose solver says nothing
    assert (solver.random_seed, solver.solver_mode, solver.device_id) == (11, solver.GPU, 3)
    assert (
        f"cd {model.folder} && caffe train --solver {root}/solver.prototxt" in folder.solver_file.read_text()
    )
    with open_run(root) as again:
        assert again.settings == settings(11, 3)


def test_train_net_and_test_nets(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 50", "test_iter: 1", "test_interval: 10")
    shutil.copy(model.net, model.folder / "val.prototxt")
    text = model.solver.read_text().replace("net:", 'test_net: "val.prototxt" train_net:', 1)
    model.solver.write_text(text)
    with create(model) as folder:
        assert Path(folder.solver.train_net) == folder.root / "train.prototxt"
        assert list(map(Path, folder.solver.test_net)) == [folder.root / "test_0.prototxt"]
        assert not folder.solver.net
        assert (folder.root / "test_0.prototxt").read_text() == model.net.read_text()


def test_a_run_that_was_moved_names_its_new_place(tiny_model: Make, tmp_path: Path) -> None:
    model = tiny_model("max_iter: 50")
    with create(model) as folder:
        old = folder.root
    moved = tmp_path / "else where"
    old.rename(moved)
    with open_run(moved) as folder:
        assert folder.solver.net == str(moved / "train_val.prototxt")
        assert folder.new_snapshot_prefix.parent == moved / "snapshots" / ".new"
        folder.ledger.prepare_new()
        attempt = read_prototxt(folder.write_attempt_solver(99), caffe_pb2.SolverParameter)
        assert (attempt.random_seed, attempt.snapshot_prefix) == (99, str(folder.new_snapshot_prefix))
        assert folder.working_directory == model.folder


def test_a_locked_run(tiny_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "LOCK_PATIENCE_SECONDS", 0.0)
    with (
        create(tiny_model("max_iter: 50")) as folder,
        pytest.raises(InputError, match="is in use by another"),
    ):
        open_run(folder.root)
    with open_run(folder.root):
        pass


def test_a_run_is_not_begun_over_another(tiny_model: Make) -> None:
    model = tiny_model("max_iter: 50")
    with create(model):
        pass
    with pytest.raises(InputError, match="holds a run already: add --resume to go on with it"):
        create(model)


def test_the_working_directory_is_gone(tiny_model: Make, tmp_path: Path) -> None:
    model = tiny_model("max_iter: 50")
    gone = RunSettings(seed=1, gpu=None, working_directory=str(tmp_path / "gone"))
    with (
        create_run(tmp_path / "run", model.solver, gone) as folder,
        pytest.raises(InputError, match="gone, where this run was begun, is gone"),
    ):
        _ = folder.working_directory


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["snapshot_format: HDF5", "max_iter: 5"], "snapshot_format: HDF5 is not supported"),
        (["max_iter: 0"], "max_iter is 0: say how many iterations"),
        ([], "max_iter is 0: say how many iterations"),
        (['net_param { name: "inline" }', "max_iter: 5"], "a net written inside the solver is not supported"),
        (['test_net_param { name: "inline" }', "max_iter: 5"], "a net written inside the solver"),
        (["max_iter: 5", "nonsense: 5"], "nonsense"),
    ],
)
def test_solvers_that_are_refused(tiny_model: Make, lines: list[str], message: str) -> None:
    model = tiny_model(*lines)
    with pytest.raises(InputError, match=message):
        create(model)
    assert not (model.folder / "run").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", 'it names no net: add `net: "train_val.prototxt"`'),
        ('net: "nowhere.prototxt"', "nowhere.prototxt is not there"),
        ('net: "from/elsewhere/train_val.prototxt"', "Caffe's paths are relative to where you run; there is"),
        ('net: "solver.prototxt"', "solver.prototxt"),  # is no net
    ],
)
def test_nets_that_are_missing(tiny_model: Make, line: str, message: str) -> None:
    model = tiny_model("max_iter: 5")
    model.solver.write_text(model.solver.read_text().replace('net: "train_val.prototxt"', line))
    with pytest.raises(InputError) as caught:
        create(model)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (model.folder / "run").exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"seed": 1}', '{"weights": null}', '{"weights": [], "what": 1}']
)
def test_a_damaged_run_json(tiny_model: Make, content: str) -> None:
    with create(tiny_model("max_iter: 5")) as folder:
        path = folder.root / "run.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"run\.json is damaged \(.*restore it, or begin a new run"):
        open_run(folder.root)


def test_a_run_json_with_values_of_another_type(tiny_model: Make) -> None:
    with create(tiny_model("max_iter: 5")) as folder:
        path = folder.root / "run.json"
    whole = json.loads(path.read_text())
    wrong = {"seed": "seven", "gpu": "0", "working_directory": None, "weights": [1], "precision": 32}
    for field, value in wrong.items():
        path.write_text(json.dumps({**whole, field: value}))
        with pytest.raises(InputError, match=rf"run\.json is damaged \({field} is "):
            open_run(folder.root)


def test_a_run_of_a_time_when_there_was_real_caffe_alone(tiny_model: Make) -> None:
    with create(tiny_model("max_iter: 5")) as folder:
        path = folder.root / "run.json"
    whole = json.loads(path.read_text())
    path.write_text(
        json.dumps({name: whole[name] for name in ("seed", "gpu", "working_directory", "weights")})
    )
    with open_run(folder.root) as folder:
        assert (folder.settings.engine, folder.settings.precision) == ("bvlc", "fp32")
        folder.change(gpu=2, engine="torch", precision="bf16")
    with open_run(folder.root) as folder:
        changed = folder.settings
        assert (changed.gpu, changed.engine, changed.precision, changed.seed) == (2, "torch", "bf16", 7)


def test_a_run_without_its_solver_is_not_left_locked(
    tiny_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "LOCK_PATIENCE_SECONDS", 0.0)
    with create(tiny_model("max_iter: 5")) as folder:
        folder.solver_file.rename(folder.root / "away")
    for _ in range(2):
        with pytest.raises(InputError, match=r"solver\.prototxt is not there"):
            open_run(folder.root)


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"holds no run \(there is no run\.json\)"):
            open_run(root)


def test_numbers_that_json_does_not_know_in_events(tiny_model: Make) -> None:
    with create(tiny_model("max_iter: 5")) as folder:
        folder.record("iteration", loss=float("nan"), rate=float("inf"), iteration=3)
    event = json.loads((folder.root / "events.jsonl").read_text())
    assert (event["event"], event["loss"], event["rate"], event["iteration"]) == (
        "iteration",
        "nan",
        "inf",
        3,
    )
    assert event["time"] > 1_000_000_000
