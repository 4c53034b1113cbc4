"""What is checked, and how large it is: full sizes for a GPU, tiny ones for a CPU, where the same code is run."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark_nets import NETS, BenchmarkNet, resized
from step_times import Length

from batchbrew.solver.precision import PRECISIONS

PARTS = (
    "machine",
    "layer_parity",
    "trainings",
    "throughput",
    "from_lmdb",
    "step_profile",
)  # modules of this package
LIMIT_SECONDS = 420.0  # against what hangs: all parts together take less than ten minutes on an H100


@dataclass(frozen=True)
class Training:
    """Of the short trainings: how many images of what short side, and how a ResNet-10 learns them."""

    images: int
    short_side: int
    crop: int
    batch: int
    iterations: int


@dataclass(frozen=True)
class Settings:
    """`gpu`: its number, None for a CPU. `profiled`: the net whose step is profiled, over `profiled_steps`.

    `configurations`: of each type of layer, whose results are compared; `whole_nets`: those of generated nets, too?
    """

    gpu: int | None
    nets: Sequence[BenchmarkNet]
    profiled: BenchmarkNet
    profiled_steps: int
    precisions: Sequence[str]
    synthetic: Length
    from_lmdb: Length
    lmdb_images: int
    configurations: int
    whole_nets: bool
    training: Training


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    settings: Settings
    parts: Sequence[str]
    limit_seconds: float
    out: Path


def on_gpu(gpu: int) -> Settings:
    """All of it, in less than ten minutes on an H100."""
    nets = list(resized(NETS.values(), [], on_gpu=True))
    return Settings(
        gpu=gpu,
        nets=nets,
        profiled=named(nets, "resnet50"),
        profiled_steps=5,
        precisions=["bf16"],
        synthetic=Length(rounds=3, steps=20, lead_in=5),
        from_lmdb=Length(rounds=2, steps=60, lead_in=20),
        lmdb_images=8000,
        configurations=5,
        whole_nets=True,
        training=Training(images=2000, short_side=128, crop=112, batch=64, iterations=200),
    )


def on_cpu() -> Settings:
    """Each part, as small as it can be."""
    nets = [replace(net, batch=2, crop=64, classes=10) for net in NETS.values()]
    return Settings(
        gpu=None,
        nets=nets,
        profiled=named(nets, "resnet10"),
        profiled_steps=1,
        precisions=["bf16"],
        synthetic=Length(rounds=1, steps=2),
        from_lmdb=Length(rounds=1, steps=2, lead_in=1),
        lmdb_images=20,
        configurations=1,
        whole_nets=False,
        training=Training(images=64, short_side=36, crop=32, batch=8, iterations=10),
    )


def named(nets: Sequence[BenchmarkNet], name: str) -> BenchmarkNet:
    """The one with that name."""
    return next(net for net in nets if net.name == name)


def read_options(arguments: Sequence[str]) -> Options:
    """Raises InputError for a --batch that is not understood; argparse itself ends the program for the rest."""
    wheels = "--wheels DIR: install packages that are missing from the wheels in DIR, without network"
    parser = argparse.ArgumentParser(prog="gpu_check.sh", description=__doc__, epilog=wheels)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--gpu", type=int, default=0, metavar="N", help="which one; default: 0")
    where.add_argument("--cpu", action="store_true", help="all that needs no GPU, with tiny sizes")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=" ".join(PARTS)
    )
    parser.add_argument(
        "--nets", nargs="+", choices=list(NETS), metavar="NET", help="default: all, with --cpu resnet10"
    )
    parser.add_argument(
        "--profiled", choices=list(NETS), metavar="NET", help="default: resnet50, with --cpu resnet10"
    )
    parser.add_argument("--batch", nargs="+", default=[], metavar="NET=N", help="images a step")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, help="default: bf16")
    parser.add_argument(
        "--limit", type=float, default=LIMIT_SECONDS, metavar="SECONDS", help="of each part; default: 420"
    )
    parser.add_argument("--out", type=Path, default=Path("gpu_check.json"), help="default: gpu_check.json")
    options = parser.parse_args(arguments)
    settings = on_cpu() if options.cpu else on_gpu(options.gpu)
    nets = list(resized(settings.nets, options.batch, on_gpu=not options.cpu))
    wanted = options.nets or (["resnet10"] if options.cpu else list(NETS))
    settings = replace(
        settings,
        nets=[named(nets, name) for name in wanted],
        profiled=named(nets, options.profiled or settings.profiled.name),
        precisions=options.precisions or settings.precisions,
    )
    return Options(settings, options.parts, options.limit, options.out)
