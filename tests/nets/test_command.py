"""The command: what it writes, prints, warns of and refuses."""

from pathlib import Path

import pytest

from batchbrew.nets.command import generate_family, main
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import parse_prototxt, read_prototxt
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
        (["--mean", "104,117"], "--mean 104,117 is not three numbers from 0 to 255 with commas"),
        (["--mean", "1,2,nan"], "--mean 1,2,nan is not three numbers"),
        (["--mean", "1,2,256"], "--mean 1,2,256 is not three numbers"),
        (["--lr-mult", "conv1"], "--lr-mult conv1 is not LAYERS=FACTOR with a factor of at least 0"),
        (["--lr-mult", "conv1=-1"], "--lr-mult conv1=-1 is not LAYERS=FACTOR"),
        (["--lr-mult", "=1"], "--lr-mult =1 is not LAYERS=FACTOR"),
        (["--lr-mult", "conv1=inf"], "--lr-mult conv1=inf is not LAYERS=FACTOR"),
        (["--lr-mult", "fc8=1"], "--lr-mult fc8=1 matches no layer"),
        (["--classifier-name", "conv1"], "--classifier-name 'conv1' cannot be used"),
        (["--stride-on", "1x1"], "--stride-on is for --variant he"),
        (["--variant", "he"], "--depth 10 is not known for --variant he: it is 18, 34, 50, 101 or 152"),
        (["--variant", "he", "--depth", "18", "--stride-on", "1x1"], "--stride-on 1x1 is for bottlenecks: --depth 18"),
        (["--bn", "nvcaffe", "--global-stats"], "--global-stats does nothing with --bn nvcaffe"),
        (["--bn", "nvcaffe", "--lr-mult", "conv1_bn=0"], "matches conv1_bn, whose rate NVIDIA Caffe sets itself"),
        (["--bn-fraction", "1"], "--bn-fraction must be between 0 and 1, not 1"),
        (["--print", "deploy"], "--print deploy is for --out -"),
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
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.endswith("; options: generate_resnet.py --help\n")
    assert shown.count("\n") == 1


def test_an_existing_file_in_the_way_is_told(capsys: Capture) -> None:
    Path("models").write_text("a file")
    assert generate() == 1
    assert "models/r10/train_val.prototxt cannot be written" in capsys.readouterr().err


def test_help_has_an_example(capsys: Capture) -> None:
    assert main("resnet", ["--help"], prog="batchbrew generate resnet") == 0
    assert "  batchbrew generate resnet --depth 50 --classes 1000 --train" in capsys.readouterr().out


SOURCES = ["--train", "train_lmdb", "--val", "val_lmdb"]


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("alexnet", ["--original", "--scale"], "--scale follows BatchNorm, which --original is without"),
        ("alexnet", ["--original", "--global-stats"], "--global-stats is about BatchNorm, which --original is without"),
        ("alexnet", ["--original", "--bn", "nvcaffe"], "--bn nvcaffe is about BatchNorm, which --original is without"),
        ("vgg", ["--depth", "16", "--original", "--bn-fraction", "0.9"], "--bn-fraction is about BatchNorm"),
        ("vgg", ["--depth", "16", "--original", "--scale"], "--scale follows BatchNorm"),
        ("vgg", ["--depth", "16", "--mean", "1,2,3", "--bn", "nvcaffe"], "no BatchNorm here has one: add --scale"),
        ("vgg", ["--depth", "12"], "--depth 12 is not known: it is 11, 13, 16 or 19"),
        ("alexnet", ["--crop", "38"], "--crop 38 is too small for alexnet: the output of layer pool5 would be "
         "1×256×0×0; the smallest that works is 39"),
        ("alexnet", ["--original", "--crop", "5"], "--crop 5 is too small for alexnet_original"),
        ("resnet", ["--depth", "18", "--variant", "he", "--crop", "1"], "the smallest that works is 3"),
    ],
)  # fmt: skip
def test_senseless_together_is_refused_by_name(
    family: str, options: list[str], message: str, capsys: Capture
) -> None:
    assert main(family, [*options, *SOURCES, "--out", "x"], prog=f"generate_{family}.py") == 1
    shown = capsys.readouterr()
    assert shown.err.startswith(f"generate_{family}.py: error: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1


def test_small_nets_of_any_family_work_at_their_smallest_crop() -> None:
    for family, options, crop in (
        ("alexnet", [], 39),
        ("vgg", ["--depth", "11"], 1),
        ("resnet", ["--depth", "10"], 3),
    ):
        assert main(family, [*options, *SOURCES, "--crop", str(crop), "--out", family], prog="g") == 0


@pytest.mark.parametrize("what", [None, "train_val", "deploy", "solver"])
def test_to_stdout_goes_one_file_and_nothing_else(what: str | None, capsys: Capture) -> None:
    assert generate("--out", "-", *([] if what is None else ["--print", what])) == 0
    shown = capsys.readouterr()
    assert list(Path.cwd().iterdir()) == []
    assert "warning: train_lmdb does not exist yet" in shown.err
    if what == "solver":
        made = parse_prototxt(shown.out, pb.SolverParameter)
        assert (made.net, made.snapshot_prefix) == ("train_val.prototxt", "resnet10")
    else:
        net = parse_prototxt(shown.out, pb.NetParameter)
        assert net.layer[0].type == ("Input" if what == "deploy" else "Data")


def test_a_mean_takes_the_place_of_the_batch_norm_on_images(capsys: Capture) -> None:
    assert generate("--mean", "104,117,123.5") == 0
    data, images, conv1 = train_val().layer[:3]
    for layer in (data, images):
        assert list(layer.transform_param.mean_value) == [104, 117, 123.5]
    assert (conv1.name, list(conv1.bottom)) == ("conv1", ["data"])
    header = Path("models/r10/deploy.prototxt").read_text().splitlines()[1]
    assert (
        header
        == "# deploy.prototxt takes images (BGR, 0 to 255) minus their mean: B, G, R = 104, 117, 123.5."
    )
    assert header[2:] in capsys.readouterr().out
    assert generate("--mean-file", "mean.binaryproto") == 0
    assert train_val().layer[1].transform_param.mean_file == "mean.binaryproto"
    assert "warning: mean.binaryproto does not exist yet" in capsys.readouterr().err


def test_what_had_no_batch_norm_on_images_has_the_mean_of_ilsvrc12() -> None:
    for family, options in (
        ("alexnet", ["--original"]),
        ("vgg", ["--depth", "11", "--original"]),
        ("resnet", ["--depth", "18", "--variant", "he"]),
    ):
        assert main(family, [*options, *SOURCES, "--out", family], prog="g") == 0
        net = read_prototxt(f"{family}/train_val.prototxt", pb.NetParameter)
        assert [list(layer.transform_param.mean_value) for layer in net.layer[:2]] == [[104, 117, 123]] * 2


def test_a_small_crop_is_pointed_to_the_small_stem(capsys: Capture) -> None:
    assert generate("--crop", "99") == 0
    assert "--crop 99 is small: --stem small begins with a 3×3" in capsys.readouterr().err
    for options in (
        ["--crop", "99", "--stem", "small"],
        ["--crop", "99", "--stem", "imagenet"],
        ["--crop", "100"],
    ):
        assert generate(*options) == 0
        assert "is small" not in capsys.readouterr().err


def test_nvidias_dialect_says_whose_it_is() -> None:
    assert generate("--bn", "nvcaffe") == 0
    for file in ("train_val", "deploy"):
        assert "# Only NVIDIA Caffe reads these networks" in Path(f"models/r10/{file}.prototxt").read_text()


def test_deploy_says_use_global_stats_where_the_release_does() -> None:
    for family, options, says in (
        ("alexnet", [], False),
        ("vgg", ["--depth", "11"], True),
        ("resnet", ["--depth", "18"], False),
        ("resnet", ["--depth", "18", "--variant", "he"], True),
    ):
        assert main(family, [*options, *SOURCES, "--out", "m"], prog="g") == 0
        for file, expected in (("deploy", says), ("train_val", False)):
            net = read_prototxt(f"m/{file}.prototxt", pb.NetParameter)
            norms = [layer.batch_norm_param for layer in net.layer if layer.type == "BatchNorm"]
            assert {norm.use_global_stats for norm in norms} == {expected}


def test_device_batches_are_those_of_the_releases() -> None:
    for family, options, batch in (
        ("alexnet", [], 128),
        ("vgg", ["--depth", "11"], 16),
        ("resnet", ["--depth", "10"], 16),
    ):
        assert main(family, [*options, *SOURCES, "--out", "m"], prog="g") == 0
        assert read_prototxt("m/train_val.prototxt", pb.NetParameter).layer[0].data_param.batch_size == batch
        assert read_prototxt("m/solver.prototxt", pb.SolverParameter).iter_size == 256 // batch


def test_families_are_found_by_name(capsys: Capture) -> None:
    assert generate_family(["vgg", "--depth", "11", *SOURCES, "--out", "m"], prog="batchbrew generate") == 0
    assert read_prototxt("m/deploy.prototxt", pb.NetParameter).name == "vgg11"
    assert generate_family(["lenet"], prog="batchbrew generate") == 2
    shown = capsys.readouterr().err
    assert "there is no family 'lenet'; usage: batchbrew generate FAMILY [options]; FAMILY is one of" in shown
    assert generate_family(["--help"], prog="batchbrew generate") == 0
