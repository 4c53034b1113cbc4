"""The command: what it writes, prints, warns of and refuses."""

from pathlib import Path

import pytest

from batchbrew.nets.command import main
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import read_prototxt
from tests.nets.test_sources import make_lmdb

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def generate(*options: str) -> int:
    """ResNet-10 from sources still to come, unless `options` say otherwise: a later option counts."""
    sources = ["--train", "train_lmdb", "--val", "val.txt", "--out", "models/r10"]
    return main("resnet", ["--depth", "10", *sources, *options], prog="generate_resnet.py")


def solver() -> pb.SolverParameter:
    return read_prototxt("models/r10/solver.prototxt", pb.SolverParameter)


def train_val() -> pb.NetParameter:
    return read_prototxt("models/r10/train_val.prototxt", pb.NetParameter)


def test_three_files_and_what_they_cost(capsys: Capture) -> None:
    assert generate() == 0
    shown = capsys.readouterr()
    paths = ["models/r10/train_val.prototxt", "models/r10/deploy.prototxt", "models/r10/solver.prototxt"]
    assert shown.out.splitlines()[:4] == [
        *paths,
        "resnet10: 1,000 classes, crop 224; 5,417,070 parameters and 3,984 BatchNorm statistics; "
        "889,229,312 multiply-adds an image",
    ]
    assert "64 epochs x 1,281,167 images / 256 = 320,292" in shown.out
    assert sorted(map(str, Path("models/r10").iterdir())) == sorted(paths)
    assert solver().net == "models/r10/train_val.prototxt"
    assert solver().snapshot_prefix == "models/r10/resnet10"
    assert (solver().max_iter, solver().iter_size, list(solver().test_iter)) == (320_000, 16, [3125])
    assert train_val().name == "resnet10"


def test_the_header_tells_command_and_arithmetic() -> None:
    assert generate("--name", "my net") == 0
    header = Path("models/r10/solver.prototxt").read_text().split("\n\n")[0].splitlines()
    assert header[0].startswith("# generate_resnet.py --depth 10 ")
    assert header[0].endswith("--name 'my net'")
    assert (
        "# Duration: 64 epochs x 1,281,167 images / 256 = 320,292, as a round number 320,000 iterations."
        in header
    )


def test_sources_are_counted(capsys: Capture) -> None:
    make_lmdb(Path("some_lmdb"), 40)
    Path("val.txt").write_text("a.jpg 0\n" * 30)
    assert generate("--classes", "5", "--train", "some_lmdb", "--epochs", "4", "--batch", "32") == 0
    assert solver().max_iter == 5
    assert (train_val().layer[1].image_data_param.batch_size, list(solver().test_iter)) == (15, [2])
    assert capsys.readouterr().err == ""


def test_assumed_images_are_told(capsys: Capture) -> None:
    assert generate() == 0
    assert capsys.readouterr().err.splitlines() == [
        "warning: train_lmdb does not exist yet: taken for ILSVRC12's 1,281,167 images; "
        "if it is not, add --train-images",
        "warning: val.txt does not exist yet: taken for ILSVRC12's 50,000 images; "
        "if it is not, add --val-images",
    ]


def test_given_images_are_believed(capsys: Capture) -> None:
    assert generate("--classes", "5", "--train-images", "512", "--val-images", "8", "--epochs", "1") == 0
    assert solver().max_iter == 2
    assert capsys.readouterr().err.splitlines() == [
        "warning: train_lmdb does not exist yet",
        "warning: val.txt does not exist yet",
    ]


def test_global_statistics_silence_the_small_batch_warning(capsys: Capture) -> None:
    assert generate("--device-batch", "8") == 0
    assert "noisy" in capsys.readouterr().err
    assert not any(layer.batch_norm_param.HasField("use_global_stats") for layer in train_val().layer)
    assert generate("--device-batch", "8", "--global-stats") == 0
    assert "noisy" not in capsys.readouterr().err
    for file in ("train_val.prototxt", "deploy.prototxt"):
        net = read_prototxt(f"models/r10/{file}", pb.NetParameter)
        norms = [layer.batch_norm_param for layer in net.layer if layer.type == "BatchNorm"]
        assert len(norms) == 10
        assert all(norm.use_global_stats for norm in norms)


def test_roots_of_image_lists(capsys: Capture) -> None:
    Path("photos").mkdir()
    options = ("--train", "train.txt", "--image-root", "photos")
    assert generate(*options, "--val-image-root", "missing") == 0
    roots = [layer.image_data_param.root_folder for layer in train_val().layer[:2]]
    assert roots == ["photos/", "missing/"]
    assert "missing is no folder yet" in capsys.readouterr().err
    assert generate(*options) == 0
    assert train_val().layer[1].image_data_param.root_folder == "photos/"


def test_every_training_option_arrives() -> None:
    assert generate(
        *("--iterations", "77", "--base-lr", "0.5", "--momentum", "0.25", "--weight-decay", "0.125"),
        *("--test-interval", "3", "--snapshot", "4", "--display", "5", "--seed", "6", "--cpu"),
        *("--batch", "64", "--device-batch", "32", "--val-batch", "25", "--crop", "96"),
    ) == 0  # fmt: skip
    made = solver()
    assert (made.max_iter, made.base_lr, made.momentum, made.weight_decay) == (77, 0.5, 0.25, 0.125)
    assert (made.test_interval, made.snapshot, made.display, made.random_seed) == (3, 4, 5, 6)
    assert (made.solver_mode, made.iter_size, list(made.test_iter)) == (pb.SolverParameter.CPU, 2, [2000])
    data, images = train_val().layer[:2]
    assert (data.data_param.batch_size, images.image_data_param.batch_size) == (32, 25)
    assert data.transform_param.crop_size == images.transform_param.crop_size == 96


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--depth", "20"], "--depth 20 is not known: it is 10, 18, 26, 34, 50, 101 or 152"),
        (["--crop", "2"], "--crop 2 is too small for resnet10: the output of layer conv1_pool would be "
         "1×64×0×0; the smallest that works is 3"),
        (["--crop", "0"], "--crop must be from 1 to 65,535, not 0"),
        (["--classes", "1"], "--classes must be from 2 to 16,777,216, not 1"),
        (["--classes", "5"], "train_lmdb does not exist yet: say with --train-images how many images it has"),
        (["--batch", "0"], "--batch must be from 1 to 2,147,483,647, not 0"),
        (["--device-batch", "0"], "--device-batch must be from 1"),
        (["--device-batch", "48"], "the nearest that divide it are 32 or 64"),
        (["--val-batch", "-1"], "--val-batch must be from 1"),
        (["--val-images", "0"], "--val-images must be from 1"),
        (["--epochs", "-1"], "epochs must be more than 0, not -1"),
        (["--base-lr", "0"], "base_lr must be more than 0, not 0"),
        (["--train", "somewhere"], "somewhere does not exist, and its name does not tell what it will be"),
        (["--name", "a/b"], "--name 'a/b' cannot begin the name of a file"),
        (["--val-image-root", "x", "--val", "val_lmdb"], "--val-image-root x is only for image lists"),
        (["--image-root", "x", "--val", "val_lmdb"], "--image-root x is only for image lists"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_in_one_line(options: list[str], message: str, capsys: Capture) -> None:
    assert generate(*options) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("generate_resnet.py: error: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert not Path("models").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "1", "--iterations", "1"], "--iterations: not allowed with argument --epochs"),
        (["--gpu", "--cpu"], "--cpu: not allowed with argument --gpu"),
        (["--classes", "ten"], "--classes: invalid int value: 'ten'"),
        (["--clas", "10"], "unrecognized arguments: --clas"),
    ],
)
def test_wrong_usage_is_refused(options: list[str], message: str, capsys: Capture) -> None:
    assert generate(*options) == 2
    assert message in capsys.readouterr().err


def test_an_existing_file_in_the_way_is_told(capsys: Capture) -> None:
    Path("models").write_text("a file")
    assert generate() == 1
    assert "models/r10/train_val.prototxt cannot be written" in capsys.readouterr().err


def test_help_has_an_example(capsys: Capture) -> None:
    assert main("resnet", ["--help"], prog="batchbrew generate resnet") == 0
    assert "  batchbrew generate resnet --depth 50 --classes 1000 --train" in capsys.readouterr().out
