"""Builds networks in real Caffe, all in one call: each in a process of its own, as Caffe ends it when it refuses."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batchbrew.nets.shapes import NetworkShapes, Shape
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.text import format_prototxt, parse_prototxt
from tests.conftest import RunCaffe

SCRIPT = r"""
import json, os, sys, tempfile
import caffe

def build(text, phase, folder):
    path = os.path.join(folder, "net.prototxt")
    with open(path, "w") as file:
        file.write(text)
    net = caffe.Net(path, phase)
    parameters, seen, count = {}, set(), 0
    for name, blobs in net.params.items():
        parameters[name] = [list(blob.shape) for blob in blobs]
        for blob in blobs:
            address = blob.data.ctypes.data
            if address not in seen:
                seen.add(address)
                count += blob.count
    # a pair for each top, in Caffe's order, as several may have the name "(automatic)"
    return {"blobs": [[name, list(blob.shape)] for name, blob in zip(net._blob_names, net._blobs)],
            "parameters": parameters, "parameter_count": count}

answers = []
folder = tempfile.mkdtemp()
for text, phase in json.load(open(sys.argv[1])):
    log = os.path.join(folder, "log")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), 2)
        answer = json.dumps(build(text, phase, folder)).encode()
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        content = pipe.read()
    status = os.waitpid(child, 0)[1]
    lines = open(log, errors="replace").read().splitlines()
    if status == 0:
        answer = json.loads(content.decode())
        memory = [line.split()[-1] for line in lines if "Memory required for data" in line]
        answer["memory"] = int(memory[-1])
    else:
        fatal = [line for line in lines if line.startswith("F")]
        answer = {"refused": (fatal or lines or ["signal %d" % (status & 127)])[-1]}
    answer["log"] = "\n".join(lines)
    answers.append(answer)
print(json.dumps(answers))
"""

GLOG_LINE = re.compile(r"^[IWEF]\d{4} [\d:.]+ +\d+ [\w.]+:\d+\] ")


@dataclass(frozen=True)
class Build:
    """What real Caffe made of a network. `refused` has its last words if it did not build it."""

    refused: str | None
    blobs: dict[str, Shape]
    parameters: dict[str, list[Shape]]
    parameter_count: int
    logged_bytes: int
    log: str

    def differences(self, ours: NetworkShapes) -> list[str]:
        """Where our inference says something else."""
        parameters = {
            layer.layer.name: [parameter.shape for parameter in layer.parameters]
            for layer in ours.layers
            if layer.parameters
        }
        pairs = {
            "blobs": (dict(ours.blobs), self.blobs),
            "parameters": (parameters, self.parameters),
            "parameter count": (
                sum(each.learned + each.statistics for each in ours.layers),
                self.parameter_count,
            ),
            "Memory required for data": (ours.logged_bytes, self.logged_bytes),
        }
        return [f"{what}: {mine}, Caffe has {its}" for what, (mine, its) in pairs.items() if mine != its]

    @property
    def upgraded(self) -> pb.NetParameter:
        """The network as Caffe printed it before it built it: in its newest form, for the phase."""
        lines = self.log.splitlines()
        start = next(i for i, line in enumerate(lines) if "Initializing net from parameters" in line) + 1
        end = next(i for i in range(start, len(lines)) if GLOG_LINE.match(lines[i]))
        return parse_prototxt("\n".join(lines[start:end]), pb.NetParameter, "Caffe's log")


def build_in_caffe(
    run_caffe: RunCaffe, folder: Path, nets: Sequence[pb.NetParameter], phase: int = pb.TRAIN
) -> list[Build]:
    """Real Caffe's builds of `nets`, in their order."""
    file = folder / "nets.json"
    file.write_text(json.dumps([[format_prototxt(net), phase] for net in nets]))
    return [
        Build(
            refused=answer.get("refused"),
            blobs={name: tuple(shape) for name, shape in answer.get("blobs", [])},
            parameters={
                name: [tuple(shape) for shape in shapes]
                for name, shapes in answer.get("parameters", {}).items()
            },
            parameter_count=answer.get("parameter_count", 0),
            logged_bytes=answer.get("memory", 0),
            log=answer["log"],
        )
        for answer in run_caffe(SCRIPT, file)
    ]
