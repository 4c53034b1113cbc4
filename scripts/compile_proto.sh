#!/usr/bin/env bash
# Writes batchbrew/proto/caffe_pb2.py and caffe_pb2.pyi anew from batchbrew/proto/caffe.proto.
# Needed only after caffe.proto was changed; what it writes is committed.
#
#   scripts/compile_proto.sh           write both files
#   scripts/compile_proto.sh --check   write nothing, fail if one of them is not what caffe.proto says
#
# The protocol compiler is an old one on purpose (3.21.6, of grpcio-tools 1.49.1): the stubs it writes hold for
# protobuf 4.21 as for 7. It lives in a virtual environment of its own in the user's cache folder, made on the
# first run and safe to remove. grpcio-tools 1.49.1 has wheels for Python 3.10 and 3.11 only.
#
# Environment: PYTHON  the Python for that environment (default: python3.11, then python3.10, then python3)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${XDG_CACHE_HOME:-$HOME/.cache}/batchbrew/protoc
proto=batchbrew/proto/caffe.proto

die() { printf 'compile_proto: %s\n' "$*" >&2; exit 1; }

case ${1:-} in
  "") check= ;;
  --check) check=1 ;;
  -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) die "unknown option $1 (there is --check and --help)" ;;
esac

has_compiler() { "$1/bin/python" -c 'import grpc_tools.protoc' >/dev/null 2>&1; }

suits() { # suits PYTHON: it runs, and grpcio-tools 1.49.1 has a wheel for it
  "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))' >/dev/null 2>&1
}

if ! has_compiler "$venv"; then
  python=
  for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.10 python3; do
    if suits "$candidate"; then python=$candidate && break; fi
  done
  [ -n "$python" ] || die "no Python 3.10 or 3.11 was found: name one in PYTHON"
  mkdir -p "$(dirname "$venv")"
  exec 9>"$venv.lock"
  flock 9
  if ! has_compiler "$venv"; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
      "grpcio-tools==1.49.1" "setuptools<80" 9>&- || die "grpcio-tools 1.49.1 could not be installed (see above)"
  fi
  flock -u 9
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"
"$venv/bin/python" -W ignore -m grpc_tools.protoc -I. "--descriptor_set_out=$work/set" "--pyi_out=$work" "$proto"

# protoc's own Python output puts the classes into the pool that a whole process shares, where a second
# caffe_pb2 (a user's own) would clash with ours. This module keeps them to itself.
"$venv/bin/python" - "$work/set" >"$work/caffe_pb2.py" <<'PYTHON'
import sys

from google.protobuf.descriptor_pb2 import FileDescriptorSet

with open(sys.argv[1], "rb") as file:
    (descriptor,) = FileDescriptorSet.FromString(file.read()).file
for message in descriptor.message_type:
    assert not message.nested_type, f"{message.name}: nested messages are not provided for"
    for field in message.field:
        field.ClearField("json_name")
content = descriptor.SerializeToString()
print('''"""Caffe's messages. Written by scripts/compile_proto.sh from caffe.proto: do not edit."""

from google.protobuf import descriptor_pool, message, reflection
from google.protobuf.internal import enum_type_wrapper

# A pool of our own: in the one that all of a process share, another caffe_pb2 would clash with this one.
_POOL = descriptor_pool.DescriptorPool()
_POOL.AddSerializedFile(''')
for start in range(0, len(content), 48):
    print(f"    {content[start : start + 48]!r}")
print(f''')
DESCRIPTOR = _POOL.FindFileByName("{descriptor.name}")

for _name, _descriptor in DESCRIPTOR.enum_types_by_name.items():
    globals()[_name] = enum_type_wrapper.EnumTypeWrapper(_descriptor)
    globals().update((_value.name, _value.number) for _value in _descriptor.values)

for _name, _descriptor in DESCRIPTOR.message_types_by_name.items():
    globals()[_name] = reflection.GeneratedProtocolMessageType(
        _name, (message.Message,), {{"DESCRIPTOR": _descriptor, "__module__": __name__}}
    )''')
PYTHON

if [ -n "$check" ]; then
  cmp "$work/caffe_pb2.py" batchbrew/proto/caffe_pb2.py && cmp "$work/batchbrew/proto/caffe_pb2.pyi" batchbrew/proto/caffe_pb2.pyi ||
    die "the committed files are not what $proto says: run scripts/compile_proto.sh"
  exit 0
fi
for file in "$work/caffe_pb2.py" "$work/batchbrew/proto/caffe_pb2.pyi"; do
  target=batchbrew/proto/$(basename "$file")
  temporary=$(mktemp "batchbrew/proto/.$(basename "$file").XXXXXX")
  cat "$file" >"$temporary"
  chmod 644 "$temporary"
  mv "$temporary" "$target"
  printf 'compile_proto: wrote %s\n' "$target" >&2
done
