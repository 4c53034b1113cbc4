"""The engine on a GPU that is none (fake_gpu.py): devices agree, training waits for nothing, numbers are the CPU's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from batchbrew import caffe
from batchbrew.caffe import memory_limit, mode
from batchbrew.caffe.solving.solver import Solver
from batchbrew.errors import EngineError, InputError
from batchbrew.parity.case import Case
from batchbrew.parity.compare import difference
from batchbrew.parity.drawing import KINDS, draw_cases
from batchbrew.parity.generated_nets import NETS
from batchbrew.proto import caffe_pb2 as pb
from tests.caffe.fake_gpu import DEVICE, FakeGpu, OnGpu, Waited, fake_gpu
from tests.caffe.layers.single_layer import compute
from tests.dataset.lmdbs import write_lmdb
from tests.dataset.pictures import encoded, picture

Numbers = dict[str, Any]
FP32, BF16 = 1e-4, 0.1  # tolerances; of bfloat16 after some iterations, relative to the largest weight
ITERATIONS = 4
BATCH, CROP = 10, 24  # no weights have as many outputs
NORMALISED = """
layer {{ name: "{0}_bn" type: "BatchNorm" bottom: "{0}" top: "{0}_bn" }}
layer {{ name: "{0}_scale" type: "Scale" bottom: "{0}_bn" top: "{0}_bn" scale_param {{ bias_term: true }} }}
layer {{ name: "{0}_relu" type: "ReLU" bottom: "{0}_bn" top: "{0}_bn" }}
"""
NET = (
    """
name: "all_in_one"
layer {{ name: "data" type: "Data" top: "data" top: "label"
  transform_param {{ crop_size: {crop} mirror: true {transform} }}
  data_param {{ source: "{folder}/lmdb" backend: LMDB batch_size: {batch} }} }}
layer {{ name: "data_bn" type: "BatchNorm" bottom: "data" top: "data_bn" }}
layer {{ name: "data_scale" type: "Scale" bottom: "data_bn" top: "data_bn" scale_param {{ bias_term: true }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data_bn" top: "conv1" convolution_param {{
  num_output: 8 kernel_size: 5 pad: 2 stride: 2 bias_term: false weight_filler {{ type: "msra" }} }} }}
"""
    + NORMALISED.format("conv1").replace("{", "{{").replace("}", "}}")
    + """
layer {{ name: "pool1" type: "Pooling" bottom: "conv1_bn" top: "pool1"
  pooling_param {{ kernel_size: 3 stride: 2 pool: MAX }} }}
layer {{ name: "short" type: "Convolution" bottom: "pool1" top: "short" param {{ decay_mult: 0 }} convolution_param {{
  num_output: 16 kernel_size: 1 stride: 2 bias_term: false weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2" param {{ lr_mult: 2 }} convolution_param {{
  num_output: 16 kernel_size: 3 pad: 1 stride: 2 group: 2 bias_term: false weight_filler {{ type: "xavier" }} }} }}
"""
    + NORMALISED.format("conv2").replace("{", "{{").replace("}", "}}")
    + """
layer {{ name: "conv3" type: "Convolution" bottom: "conv2_bn" top: "conv3" convolution_param {{
  num_output: 16 kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "sum" type: "Eltwise" bottom: "short" bottom: "conv3" top: "sum" }}
layer {{ name: "pool2" type: "Pooling" bottom: "sum" top: "pool2" pooling_param {{ pool: AVE global_pooling: true }} }}
layer {{ name: "drop" type: "Dropout" bottom: "pool2" top: "pool2" dropout_param {{ dropout_ratio: 0.2 }} }}
layer {{ name: "scores" type: "InnerProduct" bottom: "pool2" top: "scores"
  inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "scores" bottom: "label" top: "accuracy" }}
"""
)
SOLVER = """net: "{folder}/net.prototxt" base_lr: 0.01 lr_policy: "fixed" weight_decay: 0.001 random_seed: 3
  max_iter: 100 snapshot_prefix: "{folder}/s" display: 0 """


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGpu]:
    with fake_gpu(monkeypatch) as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fake_gpu")
    write_lmdb(
        folder / "lmdb",
        (pb.Datum(data=encoded(".png", picture(30, 28, n)), encoded=True, label=n % 4) for n in range(20)),
    )
    return folder


def test_it_is_one(gpu: FakeGpu) -> None:
    there = torch.arange(4.0).to(DEVICE)
    assert there.is_cuda and isinstance(there + 1, OnGpu)
    assert (there + 1).cpu().tolist() == [1, 2, 3, 4]
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.zeros(4)
    gpu.may_wait = False
    for ask in (float, bool):
        with pytest.raises(Waited):
            ask(there.sum())
    with pytest.raises(Waited):
        there.cpu()


def computed(case: Case, folder: Path) -> Numbers | str:
    caffe.set_random_seed(1)
    try:
        return compute(case, folder)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NETS])
def test_layers(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # HDF5Output writes where it is
    case = next(iter(draw_cases(kind, 1, 1)))
    on_cpu = computed(case, tmp_path / "cpu")
    with fake_gpu(monkeypatch):
        on_gpu = computed(case, tmp_path / "gpu")
    if isinstance(on_cpu, str) or isinstance(on_gpu, str):
        assert on_cpu == on_gpu
        return
    apart = {name: difference(array, on_gpu[name], 1.0, 1e-3) for name, array in on_cpu.items()}
    assert {name: found for name, found in apart.items() if found > 10 * FP32} == {}


def made(folder: Path, solver: str, transform: str = "scale: 0.02", net: str = NET) -> Solver:
    (folder / "net.prototxt").write_text(
        net.format(folder=folder, transform=transform, crop=CROP, batch=BATCH)
    )
    (folder / "solver.prototxt").write_text(SOLVER.format(folder=folder) + solver)
    return caffe.get_solver(folder / "solver.prototxt")


def weights(solver: Solver) -> Numbers:
    return {
        f"{name} {i}": blob.data.copy()
        for name, blobs in solver.net.params.items()
        for i, blob in enumerate(blobs)
    }


def assert_alike(one: Numbers, other: Numbers, tolerance: float) -> None:
    apart = {name: difference(array, other[name], 1.0, 1e-2) for name, array in one.items()}
    assert {name: found for name, found in apart.items() if not found <= tolerance} == {}


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_training_waits_for_nothing(precision: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode, "_check_precision", lambda device, name: None)
    caffe.set_precision(precision)
    try:
        solver = made(folder, "momentum: 0.9")
        solver.keep_blobs = False
        solver.step(ITERATIONS)
        expected = weights(solver)
        with fake_gpu(monkeypatch) as gpu:
            solver = made(folder, "momentum: 0.9")
            solver.keep_blobs = False
            gpu.may_wait = False
            solver.step(ITERATIONS)
            gpu.may_wait = True
            assert_alike(expected, weights(solver), BF16 if precision == "bf16" else FP32)
    finally:
        caffe.set_precision("fp32")
    # Images come channels_last, and stay so but in full float32, where cuDNN is faster with planes.
    images = {shape for shape in gpu.laid_out_anew if shape[0] == BATCH}
    assert images == ({(BATCH, 3, CROP, CROP)} if precision == "fp32" else set())
    assert "_fused_sgd_.default" in gpu.called and "batch_norm_elemt.default" in gpu.called


RULES = (
    'type: "SGD"', 'type: "SGD" momentum: 0.9 clip_gradients: 0.5 iter_size: 2', 'type: "Nesterov" momentum: 0.9',
    'type: "AdaGrad"', 'type: "RMSProp" rms_decay: 0.9', 'type: "AdaDelta" momentum: 0.9 delta: 1e-6',
    'type: "Adam" momentum: 0.9 momentum2: 0.99', 'type: "SGD" momentum: 0.9 regularization_type: "L1"',
)  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_solvers_go_on_from_snapshots(rule: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solver = made(folder, rule, "mean_value: 100 mean_value: 110 mean_value: 120 scale: 0.02")
    solver.step(3)
    expected = weights(solver)
    with fake_gpu(monkeypatch) as gpu:
        solver = made(folder, rule, "mean_value: 100 mean_value: 110 mean_value: 120 scale: 0.02")
        gpu.may_wait = False
        solver.step(1)
        gpu.may_wait = True
        solver.snapshot()
        solver.restore(folder / "s_iter_1.solverstate")
        gpu.may_wait = False
        solver.step(2)
        gpu.may_wait = True
        assert_alike(expected, weights(solver), 10 * FP32)


def test_scales_behind_global_statistics_learn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = NET.replace(
        'top: "conv2_bn" }}', 'top: "conv2_bn" batch_norm_param {{ use_global_stats: true }} }}'
    )
    assert fixed != NET
    solver = made(folder, "momentum: 0.9", net=fixed)
    solver.step(2)
    expected = weights(solver)
    with fake_gpu(monkeypatch):
        solver = made(folder, "momentum: 0.9", net=fixed)
        solver.step(2)
        assert_alike(expected, weights(solver), FP32)


def test_what_is_written_to_a_view_is_there(gpu: FakeGpu) -> None:
    """Real Caffe would go on with the numbers that it has on the GPU."""
    blob = caffe.Blob(2)
    view = blob.data
    view[...] = 1, 2
    assert blob.data_tensor.cpu().tolist() == [1, 2]
    view[...] = 3, 4
    assert blob.data_tensor.cpu().tolist() == [3, 4]
    blob.data_tensor = blob.data_tensor + 1
    assert view.tolist() == [3, 4]  # until it is asked for again
    assert blob.data.tolist() == view.tolist() == [4, 5]
    del view
    assert blob.data_tensor is blob.data_tensor


def test_free_memory_is_also_what_pytorch_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode._state, "device", DEVICE)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 9999))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 100)
    assert memory_limit.available_bytes() == 1600


def test_a_gpu_that_does_not_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def ones(*arguments: object, **options: object) -> None:
        raise RuntimeError(
            "CUDA error: no kernel image is available\nCUDA kernel errors might be reported later"
        )

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(EngineError, match=r"finds no CUDA GPU here; .* or a driver for CUDA 13\.0"):
        caffe.set_mode_gpu()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch, "ones", ones)
    with pytest.raises(
        EngineError, match=r"GPU 0 cannot be used: CUDA error: no kernel image is available: choose"
    ):
        caffe.set_mode_gpu()
    assert mode.device().type == "cpu"


def test_bf16_is_refused_where_the_gpu_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode._state, "device", DEVICE)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    with pytest.raises(EngineError, match=r"GPU 0, Tesla T4, does not compute in bf16.* 7\.5, below 8\.0"):
        caffe.set_precision("bf16")
    assert mode.precision() == "fp32"
