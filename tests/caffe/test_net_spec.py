"""Real pycaffe runs the same expressions, and must give the same nets, byte by byte."""

import copy
import json
import random
import subprocess
import sys
from typing import Any

import pytest

from batchbrew.caffe import net_spec
from batchbrew.caffe.assigning import assign_proto
from batchbrew.caffe.net_spec import NetSpec, param_name_dict, to_proto
from batchbrew.caffe.net_spec import layers as L
from batchbrew.caffe.net_spec import params as P
from batchbrew.errors import InputError
from batchbrew.proto import caffe_pb2 as pb
from tests.conftest import RunCaffe

RANDOM_NETS = 60

WRITTEN = [
    # anonymous tops, several outputs, a layer without any
    """
data, label = L.Data(source="db", backend=P.Data.LMDB, batch_size=64, ntop=2, transform_param=dict(scale=1 / 255))
conv = L.Convolution(data, kernel_size=5, num_output=20, weight_filler=dict(type="xavier"))
pool = L.Pooling(conv, pool=P.Pooling.MAX, kernel_size=2, stride=2)
net = to_proto(L.SoftmaxWithLoss(L.InnerProduct(L.ReLU(pool, in_place=True), num_output=10), label), L.ReLU(label))
""",
    # names, lists, messages, in place, a top under two names, one that nobody reads
    """
n = NetSpec()
n.data, n.label = L.DummyData(shape=[dict(dim=[1, 3, 8, 8]), dict(dim=[1])], ntop=2, data_filler=[dict(value=1)])
n.conv1 = L.Convolution(n.data, kernel_size=[3, 5], num_output=4, param=[dict(lr_mult=1), dict(lr_mult=2)])
n["bn/1"] = L.BatchNorm(n.conv1, in_place=True, batch_norm_param=dict(use_global_stats=True))
n.scale1 = L.Scale(n["bn/1"], bias_term=True, in_place=True, scale_param=dict(axis=1))
n.again = n.scale1
n.other = L.Concat(n.again, L.Power(n.data, power=0.1, shift=-2), axis=1, name="joined")
n.silence = L.Silence(n.label, ntop=0)
net = n.to_proto()
""",
    # shared parameters, phases, loss weights, Python layers, types that no Caffe has
    """
n = NetSpec()
n.x = L.Input(input_param=dict(shape=dict(dim=[2, 3])))
n.a = L.InnerProduct(n.x, num_output=3, param=dict(name="w"), bias_term=False, include=dict(phase=1))
n.b = L.InnerProduct(n.a, num_output=3, param=[dict(name="w")], include=[dict(stage=["s", "t"]), dict(min_level=1)])
n.p, n.q = L.Python(n.a, n.b, module="m", layer="Layer", param_str="{'a': 1}", ntop=2, loss_weight=[1, 0.5],
                    propagate_down=[True, False])
n.u = L.NoSuchLayer(n.q, name="u2", loss_weight=3)
net = n.to_proto()
""",
    # only the last output is wanted, and names go on counting
    """
x = L.Input(shape=[dict(dim=1)])
for _ in range(5):
    x = L.ReLU(L.InnerProduct(x, num_output=2), in_place=bool(_ % 2))
net = x.to_proto()
""",
    """
n = NetSpec()
a = L.Deconvolution(L.Input(), convolution_param=dict(num_output=1, kernel_size=2, weight_filler=dict(type="bilinear")))
n.crop = L.Crop(a, a.fn.inputs[0], crop_param=dict(axis=2, offset=[1, 2]))
n.drop = L.Dropout(n.crop, dropout_param=dict(), in_place=True)
n.acc = L.Accuracy(n.drop, n.crop, top_k=5, accuracy_param=dict(ignore_label=255))
net = n.to_proto()
""",
]

REFUSED = [
    "L.Convolution(5)",
    "L.Foo('data', num_output=1)",
    "L.Foo(x=5).to_proto()",
    "L.Convolution(kernel=3).to_proto()",
    "L.Convolution(kernel_size=(3, 3)).to_proto()",
    "L.Convolution(kernel_size=3.0).to_proto()",
    "L.Convolution(weight_filler=dict(typ='xavier')).to_proto()",
    "L.Convolution(weight_filler='xavier').to_proto()",
    "L.Convolution(param=[1]).to_proto()",
    "L.Convolution(num_output=None).to_proto()",
    "L.Convolution(num_output=-1).to_proto()",
    "L.Convolution(num_output=2**32).to_proto()",
    "L.Convolution(num_output=dict(a=1)).to_proto()",
    "L.Convolution(num_output=[3]).to_proto()",
    "L.Pooling(pool='MAX').to_proto()",
    "L.Pooling(pool=99).to_proto()",
    "L.Deconvolution(num_output=3).to_proto()",
    "L.Power(power='1').to_proto()",
    "L.Python(param_str=5).to_proto()",
    "L.Python(param_str=dict(a=1)).to_proto()",
    "P.Pooling.NONE",
    "P.NoSuch.MAX",
    "NetSpec().conv1",
    "NetSpec()['conv1']",
]

ORACLE = """
import json, sys
from caffe import layers as L, params as P, to_proto, NetSpec
from caffe.net_spec import param_name_dict
given = json.load(open(sys.argv[1]))
nets = []
for text in given["nets"]:
    names = dict(L=L, P=P, to_proto=to_proto, NetSpec=NetSpec)
    exec(text, names)
    nets.append(names["net"].SerializeToString().hex())
refused = []
for text in given["refused"]:
    try:
        eval(text)
        refused.append(None)
    except Exception as error:
        refused.append(type(error).__name__)
print(json.dumps(dict(nets=nets, refused=refused, names=param_name_dict())))
"""


def random_net(chance: random.Random) -> str:
    """The text of a random net specification: some tops named, some not, shared, in place, several at once."""
    lines = ["n = NetSpec()", "tops = [L.Input(shape=dict(dim=[1, 2]))]"]
    for number in range(chance.randrange(1, 12)):
        kind = chance.choice(["Convolution", "ReLU", "Eltwise", "Slice", "Pooling", "Foo", "Silence"])
        bottoms = ", ".join(
            f"tops[{chance.randrange(-3, 1)} % len(tops)]" for _ in range(chance.randrange(1, 4))
        )
        options = {
            "Convolution": f"num_output={number}, kernel_size={[chance.randrange(9)] * chance.randrange(1, 3)}",
            "ReLU": f"in_place={chance.random() < 0.5}, negative_slope={chance.random()}",
            "Eltwise": "operation=P.Eltwise.MAX, coeff=[1, -0.5]",
            "Slice": "ntop=2, slice_point=1, axis=1",
            "Pooling": f"pool=P.Pooling.AVE, kernel_size={number + 1}, name='p{number}'",
            "Foo": f"ntop={chance.randrange(1, 3)}",
            "Silence": "ntop=0",
        }[kind]
        lines.append(f"made = L.{kind}({bottoms}, {options})")
        lines.append("made = made if isinstance(made, tuple) else (made,)")
        if kind != "Silence":
            lines.append("tops += made")
        if kind == "Silence" or chance.random() < 0.5:
            lines.append(f"for i, top in enumerate(made): n['t{number}_%d' % i] = top")
    lines.append("net = n.to_proto() if n.tops else to_proto(*tops[-2:])")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def nets() -> list[str]:
    """All nets that both engines write."""
    chance = random.Random(4)
    return WRITTEN + [random_net(chance) for _ in range(RANDOM_NETS)]


@pytest.fixture(scope="module")
def real(run_caffe: RunCaffe, nets: list[str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What real pycaffe makes of them."""
    path = tmp_path_factory.mktemp("specs") / "given.json"
    path.write_text(json.dumps({"nets": nets, "refused": REFUSED}))
    return run_caffe(ORACLE, path)


def ours(text: str) -> pb.NetParameter:
    """The net that `text` leaves in `net`."""
    names: dict[str, Any] = {"L": L, "P": P, "to_proto": to_proto, "NetSpec": NetSpec}
    exec(text, names)
    net = names["net"]
    assert isinstance(net, pb.NetParameter)
    return net


def test_nets_are_those_of_pycaffe(nets: list[str], real: Any) -> None:
    for text, expected in zip(nets, real["nets"], strict=True):
        net = ours(text)
        assert net == pb.NetParameter.FromString(bytes.fromhex(expected)), text
        assert net.SerializeToString(deterministic=True).hex() == expected, text


def test_what_pycaffe_refuses_is_refused_by_name(real: Any) -> None:
    for text, kind in zip(REFUSED, real["refused"], strict=True):
        assert kind is not None, text
        with pytest.raises((InputError, AttributeError, KeyError)):
            eval(text)


def test_param_names_are_those_of_pycaffe(real: Any) -> None:
    assert {name: param_name_dict()[name] for name in real["names"]} == real["names"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("L.Convolution(kernel=3).to_proto()", "LayerParameter has no field kernel"),
        ("L.Convolution(weight_filler=dict(typ='xavier')).to_proto()", "no field typ: did you mean type?"),
        ("L.Pooling(pool='MAX').to_proto()", "give the number 0, which is params.Pooling.MAX"),
        ("L.Pooling(pool=99).to_proto()", r"PoolingParameter.pool cannot be 99 \(int\): it takes one of 0 \(MAX\)"),
        ("L.Convolution(num_output=-1).to_proto()", r"num_output cannot be -1 \(int\): that is outside of uint32"),
        ("L.Convolution(kernel_size=(3, 3)).to_proto()", r"takes a whole number \(or a list of such\), not \(3, 3\)"),
        ("L.ReLU('data')", "ReLU input 0 is not a Top"),
    ],
)  # fmt: skip
def test_errors_say_what_to_write(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        eval(text)


def test_several_outputs_under_one_name_are_refused() -> None:
    n = NetSpec()
    n.both = L.Data(ntop=2)
    with pytest.raises(InputError, match="both is not a Top"):
        n.to_proto()


def test_a_net_may_be_deeper_than_the_stack() -> None:
    top = L.Input()
    for _ in range(sys.getrecursionlimit() + 100):
        top = L.ReLU(top)
    assert len(top.to_proto().layer) == sys.getrecursionlimit() + 101


def test_specifications_can_be_copied() -> None:
    n = NetSpec()
    n.data = L.Input()
    assert copy.deepcopy(n).to_proto() == n.to_proto()
    assert copy.copy(n).data is n.data


def test_assigned_lists_are_appended() -> None:
    layer = pb.LayerParameter(bottom=["a"])
    assign_proto(layer, "bottom", ["b", "c"])
    assign_proto(layer, "param", {"lr_mult": 2})
    assert list(layer.bottom) == ["a", "b", "c"]
    assert layer.param[0].lr_mult == 2


def test_specifications_need_no_torch() -> None:
    code = (
        "import sys, types, batchbrew; package = types.ModuleType('batchbrew.caffe'); "
        "package.__path__ = [batchbrew.__path__[0] + '/caffe']; sys.modules['batchbrew.caffe'] = package; "
        "import batchbrew.caffe.net_spec, batchbrew.caffe.io, batchbrew.caffe.coord_map, batchbrew.caffe.draw; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_module_has_what_scripts_import() -> None:
    for name in (
        "layers",
        "params",
        "NetSpec",
        "to_proto",
        "param_name_dict",
        "assign_proto",
        "Top",
        "Function",
    ):
        assert hasattr(net_spec, name)
