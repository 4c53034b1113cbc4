"""Which cases are drawn: for each kind, numbers from 0 on until enough of them can be built."""

import difflib
from collections.abc import Callable, Iterator, Sequence

from batchbrew.errors import InputError
from batchbrew.parity.array_sources import (
    hdf5_data_case,
    hdf5_output_case,
    infogain_file_case,
    python_case,
)
from batchbrew.parity.case import Case
from batchbrew.parity.exercises import is_expected_to_be_built, layer_case
from batchbrew.parity.filler_cases import filler_case
from batchbrew.parity.generated_nets import NETS, generated_case
from batchbrew.parity.image_sources import data_case, image_data_case, window_data_case
from batchbrew.parity.random_chains import chain_case
from batchbrew.parity.random_nets import stack_case, wiring_case
from batchbrew.parity.random_views import view_case
from batchbrew.parity.specimens.specimens import MAKERS

# (kind, seed, number) -> case
Draw = Callable[[str, int, int], Case]
KINDS: dict[str, Draw] = {
    **dict.fromkeys(sorted(MAKERS), layer_case),
    "Data": data_case,
    "HDF5Data": hdf5_data_case,
    "HDF5Output": hdf5_output_case,
    "ImageData": image_data_case,
    "Python": python_case,
    "WindowData": window_data_case,
    "InfogainLoss-file": infogain_file_case,
    "filler": filler_case,
    "wiring": wiring_case,
    "stack": stack_case,
    "chain": chain_case,
    "view": view_case,
    **dict.fromkeys(NETS, generated_case),
}
TRIES = 10  # for each configuration that can be built, at most so many are drawn


def draw(kind: str, seed: int, number: int) -> Case:
    """The case with that name: the same every time."""
    return KINDS[kind](kind, seed, number)


def draw_cases(kind: str, seed: int, configurations: int, first: int = 0) -> Iterator[Case]:
    """Cases from number `first` on until so many should be built by Caffe; those that it should refuse, and that
    are met on the way, are among them.
    """
    valid = 0
    for number in range(first, first + configurations * TRIES):
        if valid == configurations:
            return
        case = draw(kind, seed, number)
        valid += is_expected_to_be_built(case)
        yield case


def check_kinds(names: Sequence[str]) -> list[str]:
    """`names` themselves, or all if there are none. Raises InputError for what is no kind."""
    for name in names:
        if name not in KINDS:
            near = difflib.get_close_matches(name, KINDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(KINDS)}"
            raise InputError(f"--types {name}: no such type of layer or net is known: {hint}")
    return list(names) or list(KINDS)
