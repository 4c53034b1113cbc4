"""What `import caffe` alone gives: every name that real pycaffe has."""

from batchbrew import caffe
from batchbrew.caffe import _caffe
from tests.conftest import RunCaffe

PROBE = """
import json, caffe, caffe._caffe
public = lambda thing: [name for name in dir(thing) if not name.startswith("__")]
classes = ["Net", "SGDSolver", "Layer", "Timer"]
print(json.dumps({"caffe": public(caffe), **{name: public(getattr(caffe, name)) for name in classes},
                  "Blob": public(caffe._caffe.Blob)}))
"""
OF_INSTANCES = {"Net": {"_blobs", "_blob_loss_weights", "layers"}, "SGDSolver": {"iter", "net", "param", "test_nets"},
                "Layer": {"blobs"}}  # fmt: skip


def test_every_name_of_pycaffe_is_there_after_import_caffe_alone(run_caffe: RunCaffe) -> None:
    names = run_caffe(PROBE)
    for where, expected in names.items():
        thing = caffe if where == "caffe" else getattr(_caffe, where, None) or getattr(caffe, where)
        assert set(expected) - set(dir(thing)) - OF_INSTANCES.get(where, set()) == set(), where


def test_messages_are_there_without_another_import() -> None:
    assert caffe.proto.caffe_pb2.Datum is caffe.io.caffe_pb2.Datum
