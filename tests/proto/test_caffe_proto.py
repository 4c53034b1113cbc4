"""caffe.proto against the descriptors of real Caffe, and caffe_pb2 against caffe.proto."""

import base64
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from batchbrew.proto import caffe_pb2
from tests.conftest import RunCaffe

PROTO = Path(caffe_pb2.__file__).with_name("caffe.proto")
SCALARS = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9, "bytes": 12, "uint32": 13,
}  # fmt: skip
LABELS = {"optional": 1, "required": 2, "repeated": 3}
FLOAT = SCALARS["float"]

READ_DESCRIPTORS = """
import base64, importlib.util, json, sys
sys.path.insert(0, importlib.util.find_spec("caffe").submodule_search_locations[0])  # all of caffe starts slowly
from proto import caffe_pb2
print(json.dumps(base64.b64encode(caffe_pb2.DESCRIPTOR.serialized_pb).decode()))
"""

Facts = dict[str, dict[str, Any]]

# Fields of NVIDIA Caffe, with their numbers there (NVIDIA/caffe, src/caffe/proto/caffe.proto); BVLC's has none of them.
NVIDIA_FIELDS = {"BatchNormParameter": {"scale_filler": 5, "bias_filler": 6, "scale_bias": 7}}


def default_of(field: Any) -> object:
    """A field's default as a value, since a float has many spellings; None if there is none."""
    if not field.HasField("default_value"):
        return None
    if field.type == FLOAT:
        return struct.pack("<f", float(field.default_value))
    return field.default_value


def facts_of(file: Any) -> Facts:
    """What a file descriptor says, by message (or enum) and member."""
    facts: Facts = {enum.name: {v.name: v.number for v in enum.value} for enum in file.enum_type}
    for message in file.message_type:
        assert not message.nested_type
        assert not message.extension_range
        assert not message.oneof_decl
        members: dict[str, Any] = {
            field.name: (
                field.number, field.label, field.type, field.type_name, default_of(field),
                field.options.SerializeToString(),
            )
            for field in message.field
        }  # fmt: skip
        for enum in message.enum_type:
            members[enum.name] = ({v.name: v.number for v in enum.value}, enum.options.SerializeToString())
        facts[message.name] = members
    return facts


def our_file() -> Any:
    file = descriptor_pb2.FileDescriptorProto()
    caffe_pb2.DESCRIPTOR.CopyToProto(file)
    return file


@pytest.fixture(scope="module")
def real_facts(run_caffe: RunCaffe) -> Facts:
    content = base64.b64decode(run_caffe(READ_DESCRIPTORS))
    file = descriptor_pb2.FileDescriptorProto.FromString(content)
    assert file.package == caffe_pb2.DESCRIPTOR.package == "caffe"
    return facts_of(file)


def test_messages_and_enums_are_those_of_caffe(real_facts: Facts) -> None:
    ours = facts_of(our_file())
    assert len(real_facts) == 64
    assert sorted(ours) == sorted(real_facts)


def test_every_field_is_that_of_caffe_and_none_is_missing(real_facts: Facts) -> None:
    ours = facts_of(our_file())
    for message, fields in NVIDIA_FIELDS.items():
        for name, number in fields.items():
            assert name not in real_facts[message]
            assert ours[message].pop(name)[0] == number
    for message, members in real_facts.items():
        assert ours[message] == members, message
    assert sum(map(len, ours.values())) == 450


def parse_field(line: str) -> tuple[str, tuple[Any, ...]]:
    """A field line of caffe.proto as (name, (number, label, type, default, packed))."""
    match = re.fullmatch(r"(optional|required|repeated) (\w+) (\w+) = (\d+)(?: \[(\w+) = (.+)\])?;", line)
    assert match, f"not a field: {line}"
    label, kind, name, number, option, value = match.groups()
    default = value.strip('"') if option == "default" else None
    if kind == "float" and default is not None:
        return name, (int(number), LABELS[label], kind, struct.pack("<f", float(default)), False)
    return name, (int(number), LABELS[label], kind, default, option == "packed")


def read_proto() -> Facts:
    """caffe.proto by an own, simple reading: it has a member a line, and enums only as inner blocks."""
    facts: Facts = {}
    blocks: list[dict[str, Any]] = [facts]
    for raw in PROTO.read_text(encoding="utf-8").splitlines():
        line = raw.partition("//")[0].strip()
        if line.endswith("{"):
            block: dict[str, Any] = {}
            blocks[-1][line.split()[1]] = block
            blocks.append(block)
        elif line == "}":
            blocks.pop()
        elif len(blocks) > 1 and line:
            if match := re.fullmatch(r"(\w+) = (\d+);", line):
                blocks[-1][match[1]] = int(match[2])
            else:
                name, field = parse_field(line)
                blocks[-1][name] = field
    return facts


def test_the_generated_module_is_what_caffe_proto_says() -> None:
    compiled: Facts = {enum.name: {v.name: v.number for v in enum.value} for enum in our_file().enum_type}
    kinds = {number: name for name, number in SCALARS.items()}
    for message in our_file().message_type:
        members: dict[str, Any] = {
            field.name: (
                field.number, field.label, kinds.get(field.type) or field.type_name.rpartition(".")[2],
                default_of(field), field.options.packed,
            )
            for field in message.field
        }  # fmt: skip
        members |= {enum.name: {v.name: v.number for v in enum.value} for enum in message.enum_type}
        compiled[message.name] = members
    assert read_proto() == compiled


def test_the_order_of_fields_too() -> None:
    for name, members in read_proto().items():
        if name in caffe_pb2.DESCRIPTOR.message_types_by_name:
            fields = caffe_pb2.DESCRIPTOR.message_types_by_name[name].fields
            assert [field.name for field in fields] == [
                m for m, what in members.items() if isinstance(what, tuple)
            ]


def test_the_stubs_name_every_field() -> None:
    stubs = PROTO.with_name("caffe_pb2.pyi").read_text(encoding="utf-8")
    for message in our_file().message_type:
        body = re.search(rf"^class {message.name}\(.*?(?=^class |\Z)", stubs, re.DOTALL | re.MULTILINE)
        assert body, message.name
        for field in message.field:
            assert re.search(rf"^    {field.name}: ", body[0], re.MULTILINE), (message.name, field.name)


SECOND_CAFFE = """
import os, sys
os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = sys.argv[1]
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.internal import api_implementation
assert api_implementation.Type() == sys.argv[1]
from batchbrew.proto import caffe_pb2
file = descriptor_pb2.FileDescriptorProto()
caffe_pb2.DESCRIPTOR.CopyToProto(file)
file.name = "caffe.proto"
del file.message_type[0].field[0]
pool = descriptor_pool.Default()
pool.AddSerializedFile(file.SerializeToString())
assert not pool.FindMessageTypeByName("caffe.BlobShape").fields
net = caffe_pb2.NetParameter(name="n")
net.layer.add().blobs.add().shape.dim.extend([2, 3])
assert type(net.layer[0]) is caffe_pb2.LayerParameter
assert caffe_pb2.NetParameter.FromString(net.SerializeToString()) == net
assert caffe_pb2.Phase.Name(caffe_pb2.TEST) == "TEST"
"""


@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_another_caffe_pb2_may_live_in_the_same_process(implementation: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SECOND_CAFFE, implementation],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=PROTO.parents[2],
    )
    assert done.returncode == 0, done.stderr
