"""Training steps with made-up images: the engine beside plain PyTorch (channels_last) and, if there, torchvision."""

from typing import Any

from step_times import measure, report, row_of
from subjects import ENGINE, PLAIN, TORCHVISION, Place, Subject, has_torchvision
from train_step_table import table

from gpu_check.settings import Settings

Found = dict[str, Any]


def run(settings: Settings) -> Found:
    """A row for each net, as of train_step.py: times, images a second, memory, ratios."""
    rows = []
    for net in settings.nets:
        engines = [ENGINE, PLAIN]
        if net.torchvision and has_torchvision():
            engines.append(TORCHVISION)
        subjects = [Subject(engine, precision) for precision in settings.precisions for engine in engines]
        rows.append(row_of(net, measure(net, subjects, Place(settings.gpu), settings.synthetic)))
    return report(rows, settings.synthetic)


def faults(found: Found) -> list[str]:
    """There are none: how fast is fast enough is not said here."""
    return []


def lines(found: Found) -> list[str]:
    """For the screen; memory is the most that the tensors of a process took of the GPU."""
    return table(found)
