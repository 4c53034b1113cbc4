"""Kernels of a trace: what counts, how long each took, what kind it is."""

import pytest
from gpu_check.kernels import busy_share, by_kind, device_events, kind_of, shares, summed


def event(
    name: str, begin: float, microseconds: float, cat: str = "kernel", ph: str = "X"
) -> dict[str, object]:
    return {"name": name, "ts": begin, "dur": microseconds, "cat": cat, "ph": ph}


TRACE = [
    event("sm90_xmma_fprop_nhwc", 0, 60),
    event("sm90_xmma_fprop_nhwc", 100, 20),
    event("Memcpy HtoD", 110, 20, "gpu_memcpy"),
    event("cudaLaunchKernel", 0, 5000, "cuda_runtime"),
    event("ProfilerStep", 0, 5000, "gpu_user_annotation"),
    event("sm90_xmma_fprop_nhwc", 0, 5000, ph="i"),
]


def test_only_what_runs_on_the_device_counts() -> None:
    assert summed(device_events(TRACE)) == {"sm90_xmma_fprop_nhwc": (2, 80.0), "Memcpy HtoD": (1, 20.0)}


def test_shares_a_step() -> None:
    rows = shares(summed(device_events(TRACE)), steps=2, most=1)
    assert rows == [{"name": "sm90_xmma_fprop_nhwc", "calls_a_step": 1.0, "ms_a_step": 0.04, "share": 0.8}]
    assert shares({}, steps=2, most=3) == []


def test_busy_share_counts_what_overlaps_once() -> None:
    assert busy_share(device_events(TRACE)) == pytest.approx(90 / 130)  # 0-60, 100-130
    assert busy_share([]) == 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (
            "sm80_xmma_wgrad_implicit_gemm_indexed_bf16bf16_bf16f32_f32_nhwckrsc_nhwc",
            "convolution, matrix product",
        ),
        ("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NNT", "convolution, matrix product"),
        (
            "void cudnn::ops::nchwToNhwcKernel<float, __nv_bfloat16, float, false, true>",
            "laid out anew, cast",
        ),
        ("void at::native::batch_norm_backward_reduce_channels_last_kernel<4, ...>", "normalisation"),
        ("void cudnn::bn_fw_tr_1C11_singleread<float, 512, true, 1, 2, 0>", "normalisation"),
        ("void at::native::max_pool_backward_nhwc<c10::BFloat16, float>", "pooling"),
        ("void at::native::(anonymous namespace)::multi_tensor_apply_kernel<...>", "update"),
        ("void at::native::reduce_kernel<512, 1, at::native::ReduceOp<...>>", "sums"),
        (
            "void at::native::vectorized_elementwise_kernel<4, at::native::threshold_kernel>",
            "element by element",
        ),
        ("void at::native::elementwise_kernel<128, 4, direct_copy_kernel_cuda>", "laid out anew, cast"),
        ("Memcpy DtoD (Device -> Device)", "moved"),
        ("something_else", "other"),
    ],
)
def test_kinds(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_by_kind() -> None:
    work = {"a_gemm": (2, 10.0), "a_conv": (1, 5.0), "x": (1, 1.0)}
    assert by_kind(work) == {"convolution, matrix product": (3, 15.0), "other": (1, 1.0)}
