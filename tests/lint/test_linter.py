"""Reading of files: lines, old formats, nets of solvers, phases, what is in data sets."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.lint.image_contents import Sources
from batchbrew.lint.linter import RULES, lint_file, read_net
from batchbrew.lint.outline import kind_of, read_outline
from batchbrew.lint.views import views_of
from batchbrew.proto import caffe_pb2 as pb
from tests.lint.layers import layer
from tests.lint.planted import make_sources
from tests.lint.planted_nets import INPUT, TEST, TRAIN, head, images, photos
from tests.lint.planted_solvers import CPU, MOMENTUM, NET_TEXT, ONE, RATE, SAVED

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a text to a file in the working directory, which has data sets in it."""
    monkeypatch.chdir(tmp_path)

    def written(text: str) -> Path:
        path = Path("file.prototxt")
        path.write_text(text)
        return path

    return written


def rules_found(path: Path) -> list[str]:
    return [finding.rule for finding in lint_file(path)]


def test_the_line_is_that_of_the_layers_name() -> None:
    text = '# a comment\nname: "net"\nlayer {\n  type: "ReLU"\n  name: "a" # layer { name: "b" }\n}\nlayer <\n>\n'
    outline = read_outline(text + "layers: { name: 'c' param { name: \"shared\" } }", "net")
    assert outline.layers == (("a", 5), ("", 7), ("c", 9))
    assert dict(outline.fields) == {"name": 2, "layer": 3, "layers": 9}


def test_of_layers_with_one_name_each_has_its_own_line(write: Write) -> None:
    findings = lint_file(write(images(TRAIN, source="a") + "\n\n" + images(TEST, source="b") + head()))
    missing = [
        (finding.line, finding.what.split()[0]) for finding in findings if finding.rule == "source-missing"
    ]
    assert missing == [(1, "a"), (4, "b")]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('name: "net"\nlayer { }', pb.NetParameter),
        ('input: "data"', pb.NetParameter),
        ('net: "a"\nbase_lr: 1', pb.SolverParameter),
        ("net_param { layer { } }", pb.SolverParameter),
        ("# nothing", None),
        ("debug_info: true", None),  # both have it
    ],
)
def test_what_a_file_is_is_told_by_its_outermost_fields(text: str, kind: type | None) -> None:
    assert kind_of(read_outline(text, "file")) is kind


def test_a_file_that_is_neither_is_refused(write: Write) -> None:
    with pytest.raises(InputError, match=r"file\.prototxt is neither a network nor a solver"):
        lint_file(write("# nothing"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer { name: 'a }", r"file\.prototxt:1:15: this ' is never closed on its line"),
        (
            'layer { nam: "a" }',
            r'file\.prototxt:1:9: LayerParameter has no field "nam": did you mean "name"\?',
        ),
        (
            'net: "a"\nbase_lr: fast',
            r'file\.prototxt:2:10: a decimal number for base_lr is expected, not "fast"',
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_at_its_line(write: Write, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        lint_file(write(text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none is not there"):
        lint_file(tmp_path / "none")


def test_networks_of_2014_are_upgraded_and_keep_their_lines(write: Write) -> None:
    v1 = """
input: "data"
input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { name: "a" type: INNER_PRODUCT bottom: "data" top: "a" inner_product_param { num_output: 2 } }
layers {
  name: "a" type: INNER_PRODUCT bottom: "a" top: "b" inner_product_param { num_output: 2 } }
"""
    (finding, note) = lint_file(write(v1))
    assert (finding.rule, finding.line, finding.layer) == ("layer-name", 6, "a")
    assert note.rule == "deploy-softmax"


def test_inputs_as_fields_count_as_made(write: Write) -> None:
    shape = "input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }"
    softmax = layer("prob", "Softmax", "data", "prob")
    assert rules_found(write(f'input: "data" {shape}\n{softmax}')) == []
    # released so: Caffe forgets an input without a shape
    made = layer("input", "Input", "", "data", f"input_param {{ {shape[6:]} }}")
    assert rules_found(write(f'input: "data"\n{made}{softmax}')) == []


def test_a_mistake_in_multipliers_is_seen_beside_old_inputs(write: Write) -> None:
    norm = layer("bn", "BatchNorm", "data", "data", "param { lr_mult: 1 } " * 3)
    text = f'input: "data" input_shape {{ dim: 16 dim: 3 }}\ninput: "label" input_shape {{ dim: 16 }}\n{norm}'
    assert "bn-multipliers" in rules_found(write(text + head()))


def test_phases_that_are_looked_at(write: Write) -> None:
    def phases(text: str) -> list[int]:
        return [view.state.phase for view in views_of(read_net(write(text)))]

    assert phases(INPUT + head()) == [pb.TRAIN, pb.TEST]
    assert phases(images(TRAIN) + head()) == [pb.TRAIN]
    assert phases(images(TEST) + head()) == [pb.TEST]
    assert phases(layer("data", "Input", "", "data")) == [pb.TEST]


def test_a_solvers_net_is_found_beside_it_but_not_silently(write: Write, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    (folder / "snapshots").mkdir(parents=True)
    (folder / "net.prototxt").write_text(NET_TEXT + layer("x", "ReLU", "nothing", "x"))
    solver = folder / "solver.prototxt"
    solver.write_text(
        'net: "net.prototxt"\n' + ONE + RATE + 'lr_policy: "fixed"\n' + MOMENTUM + CPU + "snapshot: 1"
    )
    found = {finding.rule: finding for finding in lint_file(solver)}
    assert found["solver-net"].what.endswith(f"{folder}/net.prototxt is looked at instead")
    assert (found["unknown-blob"].file, found["unknown-blob"].line) == (str(folder / "net.prototxt"), 5)


def test_a_solvers_stages_decide_which_layers_are_there(write: Write) -> None:
    staged = layer("x", "ReLU", "nothing", "x", 'include { stage: "deep" }')
    Path("net.prototxt").write_text(NET_TEXT + staged)
    Path("snapshots").mkdir()
    solver = 'net: "net.prototxt"\n' + ONE + RATE + 'lr_policy: "fixed"\n' + SAVED + MOMENTUM + CPU
    assert rules_found(write(solver)) == []
    assert rules_found(write(solver + 'train_state { stage: "deep" }')) == ["unknown-blob"]


def test_test_nets_come_in_caffes_order(write: Write) -> None:
    """First the test_nets, then net for each test_iter that is left."""
    make_sources(Path())
    Path("snapshots").mkdir()
    Path("net.prototxt").write_text(images(TRAIN) + images(TEST, batch="30") + head())
    Path("other.prototxt").write_text(images(TEST, batch="20") + head())
    solver = (
        'net: "net.prototxt" test_net: "other.prototxt" test_interval: 4\n' + ONE + RATE + SAVED + MOMENTUM
    )
    solver += 'lr_policy: "fixed" '
    assert rules_found(write(solver + "test_iter: 3 test_iter: 2")) == []
    assert rules_found(write(solver + "test_iter: 2 test_iter: 3")) == ["test-coverage", "test-coverage"]


def test_old_solver_types_are_known(write: Write) -> None:
    Path("net.prototxt").write_text(NET_TEXT)
    Path("snapshots").mkdir()
    solver = 'net: "net.prototxt"\n' + ONE + RATE + 'lr_policy: "fixed"\n' + SAVED
    assert rules_found(write(solver + "solver_type: ADAGRAD momentum: 0.9")) == ["solver-type"]
    assert rules_found(write(solver + "solver_type: NESTEROV momentum: 0.9")) == []


class TestContents:
    """What is looked up in data sets."""

    def test_labels_of_a_built_lmdb_are_taken_from_its_description(self, write: Write) -> None:
        make_sources(Path())
        description = {
            "images": 60, "classes": 9, "label_counts": {"0": 59, "8": 1, "9": 0}, "class_names": None, "short_side": 8,
            "quality": 95, "seed": 0, "unreadable": [], "total_bytes": 1, "sha256": "", "version": "0",
        }  # fmt: skip
        Path("good_lmdb/dataset.json").write_text(json.dumps(description))
        (finding,) = [f for f in lint_file(write(images(TRAIN) + head())) if f.rule == "labels"]
        assert finding.what.endswith("good_lmdb has label 8")

    def test_what_is_sampled_is_said(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("batchbrew.lint.image_contents.SAMPLED_LABELS", 25)
        make_sources(Path())
        text = images(TRAIN) + head().replace("num_output: 3", "num_output: 1")
        (finding,) = [f for f in lint_file(write(text)) if f.rule == "labels"]
        assert finding.what.endswith("good_lmdb has label 1, 2 (of 25 images sampled)")

    def test_a_damaged_source_is_a_finding(self, write: Write) -> None:
        Path("list.txt").write_text("0.png zero\n")
        (finding,) = lint_file(write(photos(TRAIN, 'source: "list.txt" shuffle: true') + head()))
        assert (finding.rule, finding.what) == (
            "source-missing",
            "list.txt: 'zero' is no label: a line is a path, a blank and a number",
        )

    def test_ignored_labels_are_no_mistake(self, write: Write) -> None:
        Path("list.txt").write_text("a.png 0\nb.png 1\nc.png 2\nd.png 255\n")
        text = photos(TRAIN, 'source: "list.txt" shuffle: true') + head()
        assert rules_found(write(text)) == ["labels"]
        assert (
            rules_found(write(text.replace('top: "loss" ', 'top: "loss" loss_param { ignore_label: 255 }')))
            == []
        )

    def test_a_source_is_read_once(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        make_sources(Path())
        path, sources = write(images(TRAIN) + images(TEST) + head()), Sources()
        assert lint_file(path, sources=sources) == []
        monkeypatch.setattr("batchbrew.dataset.reader.LmdbReader", None)
        assert lint_file(path, sources=sources) == []


def test_a_root_that_is_meant_as_a_prefix_is_no_mistake(write: Write) -> None:
    Path("photos_0.png").touch()
    Path("list.txt").write_text("0.png 0\n1.png 1\n2.png 2\n")
    text = photos(TRAIN, 'source: "list.txt" shuffle: true root_folder: "photos_"') + head()
    assert rules_found(write(text)) == []
    Path("photos_0.png").unlink()
    assert [(f.rule, f.severity) for f in lint_file(Path("file.prototxt"))] == [("root-folder", "warning")]


def test_layers_of_one_name_are_not_compared_between_phases(write: Write) -> None:
    hidden = layer("fc", "InnerProduct", "data", "h", "inner_product_param { num_output: 4 }")
    assert rules_found(write(INPUT + hidden + head("h"))) == ["layer-name"]


def test_data_layers_without_tops_are_no_trouble(write: Write) -> None:
    text = images(TRAIN).replace('top: "data" top: "label"', "")
    assert "unknown-blob" in rules_found(write(text + INPUT + head("h")))


def test_ignored_rules_are_silent(write: Write) -> None:
    path = write(INPUT + head("nothing"))
    assert rules_found(path) == ["unread-blob", "unknown-blob"]
    assert [f.rule for f in lint_file(path, ignore=["unread-blob"])] == ["unknown-blob"]


def test_rules_say_what_they_look_for_in_one_line() -> None:
    for rule in RULES.values():
        assert rule.check.__doc__
        assert rule.why.endswith(".") and "\n" not in rule.why
        assert rule.summary[-1] not in ".\n"


def test_the_page_has_every_rule_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "lint.md").read_text()
    rows = [line.split(" | ") for line in page.replace("`", "").splitlines() if line.startswith("| ")]
    told = {row[0].removeprefix("| "): (row[1], row[2]) for row in rows if len(row) == 4}
    assert {name: (rule.severity, rule.summary) for name, rule in RULES.items()}.items() <= told.items()
