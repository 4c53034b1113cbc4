"""parse_prototxt against Caffe's own C++ parser, and its errors word by word."""

import base64
import json
from pathlib import Path

import pytest

from batchbrew.errors import InputError
from batchbrew.proto.caffe_pb2 import TEST, LayerParameter, NetParameter, SolverParameter
from batchbrew.proto.parser import parse_prototxt
from tests.conftest import RunCaffe

# Each is put into a layer of a network that Caffe can build; what Caffe understood is seen in what it saves.
LAYER = 'layer {{ name: "i" type: "Input" top: "d" input_param {{ shape {{ dim: 1 }} }}\n{} }}\n'

ACCEPTED = [
    "",
    "convolution_param { num_output: 0x1F group: 010; } ,",
    "convolution_param { pad: [1, 2,3] pad: 4 stride: [] }",
    "convolution_param: < num_output: 4294967295 >",
    "dummy_data_param { shape [{dim: 1}, <dim: -9223372036854775808>] shape: [] shape: [{}] }",
    "convolution_param { bias_term: t force_nd_im2col: True }",
    "convolution_param { bias_term: 0 force_nd_im2col: 0x1 }",
    "convolution_param { bias_term: 00 force_nd_im2col: f }",
    "relu_param { negative_slope: - 5 }",
    "relu_param { negative_slope: -\n# a comment\n0 }",
    "relu_param { negative_slope: 1.5f }",
    "relu_param { negative_slope: 1f }",
    "relu_param { negative_slope: 1e3F }",
    "relu_param { negative_slope: .5 }",
    "relu_param { negative_slope: 5. }",
    "relu_param { negative_slope: 1.e1 }",
    "relu_param { negative_slope: -INF }",
    "relu_param { negative_slope: Infinity }",
    "relu_param { negative_slope: nan }",
    "relu_param { negative_slope: 18446744073709551616 }",
    "relu_param { negative_slope: 1e60 }",
    "relu_param { negative_slope: 3.40282351e38 }",
    "relu_param { negative_slope: 1e-45 }",
    "relu_param { negative_slope: 1e-60 }",
    "relu_param { negative_slope: 0.1 }",
    "relu_param { negative_slope: 1.00000017881393432617187499 }",
    "pooling_param { pool: 1 engine: CAFFE }",
    "pooling_param { pool: 0x1 round_mode: 00 }",
    "concat_param { axis: -2147483648 }",
    "slice_param { axis: 1; slice_point: 1, slice_point: 2; }",
    "relu_param {} tanh_param <>",
    "clip_param { min: 1 max: 2 }",
    "python_param { param_str: 'a' \"b\"\n'c' }",
    "python_param { param_str:\"a\"module:'b'layer :'' }",
    r"python_param { param_str: 'a\n\t\x41\101\u00e9\"\'\\\?' }",
    r"python_param { param_str: '\a\b\f\v\r\1234\x414' }",
    r"python_param { param_str: '\U0001F600\ud83d\ude00\u732b' }",
    "python_param { param_str: 'é\t\x01' }",
    "# { é\n",
    "\v\f\r\n\t",
    "hinge_loss_param { norm: L2 } window_data_param { fg_threshold: 0.25 crop_mode: 'square' }",
]
REFUSED = [
    "convolution_param { num_output: 09 }",
    "convolution_param { num_output: 1.0 }",
    "convolution_param { num_output: -1 }",
    "convolution_param { num_output: -0 }",
    "convolution_param { num_output: 4294967296 }",
    "convolution_param { num_output: '1' }",
    "convolution_param { pad: [1,] }",
    "convolution_param { pad: [1 2] }",
    "convolution_param { pad: [1; 2] }",
    "convolution_param { pad: 1 2 }",
    "concat_param { axis: [1] }",
    "concat_param { axis: -2147483649 }",
    "concat_param { axis: 1;; }",
    "concat_param { axis 1 }",
    "concat_param < axis: 1 }",
    "concat_param { axis: 0x }",
    "concat_param { axis: 1x }",
    "convolution_param { bias_term: TRUE }",
    "convolution_param { bias_term: 2 }",
    "convolution_param { bias_term: 'true' }",
    "convolution_param { bias_term: -0 }",
    "relu_param { negative_slope: +5 }",
    "relu_param { negative_slope: 0x10 }",
    "relu_param { negative_slope: 010 }",
    "relu_param { negative_slope: 00 }",
    "relu_param { negative_slope: 1.2.3 }",
    "relu_param { negative_slope: 1e }",
    "relu_param { negative_slope: 1-2 }",
    "relu_param { negative_slope: 0.5engine: CAFFE }",
    "relu_param { negative_slope: '1' }",
    "relu_param { negative_slope: infinit }",
    "pooling_param { pool: 7 }",
    "pooling_param { pool: -1 }",
    "pooling_param { pool: ave }",
    "pooling_param { pool: 'AVE' }",
    "pooling_param { pool: 1.0 }",
    'name: "twice"',
    "relu_param {} relu_param {}",
    "tanh_param { engine: CAFFE engine: CAFFE }",
    "clip_param { min: 1 }",
    r"python_param { param_str: '\q' }",
    r"python_param { param_str: '\x' }",
    r"python_param { param_str: '\u12' }",
    r"python_param { param_str: '\X41' }",
    "python_param { param_str: 'a\nb' }",
    "python_param { param_str: a }",
    "python_param { param_str: 12 }",
    "python_param { param_str: `a` }",
    "Bottom: 'x'",
    "bottom 'x'",
    "foo-bar: 1",
    "1: 'x'",
    "[caffe.x]: 1",
    "// x",
    "/* x */",
    "\0",
    "\x01",
    "é",
    "}",
    "{",
    ">",
]
# Caffe takes these; we do not, as no file name or layer name can be made of them
STRICTER = [r"python_param { param_str: '\xff' }", r"python_param { param_str: '\ud800' }"]

ASK_CAFFE = """
import base64, json, os, sys
import caffe
from caffe.proto import caffe_pb2
texts, folder = json.load(open(sys.argv[1])), sys.argv[2]
answers = []
for number, text in enumerate(texts):
    given, saved = os.path.join(folder, "given"), os.path.join(folder, "saved%d" % number)
    with open(given, "wb") as file:
        file.write(text.encode("utf-8"))
    child = os.fork()  # Caffe ends the process when it refuses a text
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        caffe.Net(given, caffe.TEST).save(saved)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        answers.append(None)
        continue
    net = caffe_pb2.NetParameter()
    with open(saved, "rb") as file:
        net.ParseFromString(file.read())
    answers.append(base64.b64encode(net.layer[0].SerializeToString()).decode())
print(json.dumps(answers))
"""


def test_accepts_what_caffe_accepts_and_reads_the_same(run_caffe: RunCaffe, tmp_path: Path) -> None:
    cases = ACCEPTED + REFUSED + STRICTER
    texts = tmp_path / "texts.json"
    texts.write_text(json.dumps([LAYER.format(case) for case in cases]))
    answers = run_caffe(ASK_CAFFE, texts, tmp_path)
    for case, answer in zip(cases, answers, strict=True):
        assert (answer is None) == (case in REFUSED), f"Caffe: {case}"
        if case in ACCEPTED:
            net = parse_prototxt(LAYER.format(case), NetParameter)
            net.layer[0].phase = TEST  # Caffe writes it into every layer
            # serialised, as nan is not equal to nan
            real = LayerParameter.FromString(base64.b64decode(answer)).SerializeToString(deterministic=True)
            assert net.layer[0].SerializeToString(deterministic=True) == real, case
        else:
            with pytest.raises(InputError):
                parse_prototxt(LAYER.format(case), NetParameter)


def test_an_empty_text_is_an_empty_message() -> None:
    assert parse_prototxt("  # nothing\n", NetParameter) == NetParameter()


INT32 = "a whole number from -2147483648 to 2147483647"

ERRORS = [
    ('layer { botom: "x" }', 'n:1:9: LayerParameter has no field "botom": did you mean "bottom"?'),
    ("layer {\n  clip_param { mn: 1 }", 'n:2:16: ClipParameter has no field "mn": did you mean "min"?'),
    ("layer { clip_param { zzz: 1 } }", 'n:1:22: ClipParameter has no field "zzz": it has min, max'),
    (
        "layer { pooling_param { pool: ave } }",
        'n:1:31: one of MAX, AVE, STOCHASTIC for pool is expected, not "ave"',
    ),
    (
        "layer { pooling_param { pool: 3 } }",
        'n:1:31: one of MAX, AVE, STOCHASTIC for pool is expected, not "3"',
    ),
    ("input_dim: 1.5", f'n:1:12: {INT32} for input_dim is expected, not "1.5"'),
    ("input_dim: -2147483649", f"n:1:12: {INT32} for input_dim is expected, not -2147483649"),
    ("input_dim: " + "9" * 9999, f"n:1:12: {INT32} for input_dim is expected, not {'9' * 40}"),
    ("force_backward: yes", 'n:1:17: true or false for force_backward is expected, not "yes"'),
    ("name: conv", 'n:1:7: a text in quotes for name is expected, not "conv"'),
    ("name: 'a' name: 'b'", "n:1:11: name is given twice, and it takes one value"),
    ("name 'a'", "n:1:6: \":\" after name is expected, not 'a'"),
    ("layer: 3", 'n:1:8: "{" after layer is expected, not "3"'),
    ("layer {\n  name: 'a'\n", 'n:1:7: the "{" of layer is never closed'),
    ("layer {}\n}", 'n:2:1: "}" closes nothing'),
    ("state < level: 1 }", 'n:1:18: ">" is expected, not "}"'),
    ("input_dim: [1 2]", 'n:1:15: "," or "]" in the list of input_dim is expected, not "2"'),
    ("name: 'a' 12", 'n:1:11: a field name is expected, not "12"'),
    ("input_dim:", f"n:1:11: {INT32} for input_dim is expected, not the end of the text"),
    ("name: '\udce9'", "n:1:7: the text of name is not UTF-8"),
    ("layer { clip_param { min: 1 } }", "n: layer[0].clip_param.max must be given"),
    (
        "layer {\n  convolution_param {\n    num_output: 3\n}\nlayer {",
        'n:5:1: LayerParameter has no field "layer", but NetParameter has: is a "}" missing before it?',
    ),
    (
        "net: 'n.prototxt'\nbase_lr: 0.1",
        'n:1:1: NetParameter has no field "net": this is a solver, a network is expected',
    ),
]


@pytest.mark.parametrize(("text", "message"), ERRORS)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_prototxt(text, NetParameter, "n")
    assert str(error.value) == message


def test_a_network_in_place_of_a_solver() -> None:
    with pytest.raises(InputError) as error:
        parse_prototxt("name: 'n' layer { name: 'a' } layer { name: 'b' }", SolverParameter, "s")
    assert (
        str(error.value)
        == 's:1:1: SolverParameter has no field "name": this is a network, a solver is expected'
    )


def test_a_misspelt_field_does_not_make_a_solver_a_network() -> None:
    with pytest.raises(InputError, match='SolverParameter has no field "name"') as error:
        parse_prototxt("base_lr: 0.1 max_iter: 10 name: 'n'", SolverParameter, "s")
    assert "network" not in str(error.value)


def test_a_number_for_a_real_field_must_be_one() -> None:
    with pytest.raises(InputError) as error:
        parse_prototxt("base_lr: +1", SolverParameter, "s")
    assert str(error.value) == 's:1:10: a decimal number for base_lr is expected, not "+"'
