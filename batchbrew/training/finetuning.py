"""Fine-tuning: a net of ours with a new classifier, begun with given weights, trained for a short time.

The classifier gets a new name, so that no other classifier's weights are loaded into it, and ten times the
learning rate of the rest. Batch normalisation keeps the statistics of the weights (`use_global_stats`): with a
small device batch the batch's own would be too noisy.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from batchbrew.errors import InputError
from batchbrew.nets.command import generator_parser, requested_model
from batchbrew.nets.model_folder import SOLVER
from batchbrew.training.recipe_model import write_run_model
from batchbrew.training.weights import match_weights, some

CLASSIFIER_RATE = 10
# Caffe's own fine-tuning examples begin at a hundredth of the rate of training; here: of AlexNet's and VGG's.
DEFAULTS = {"--base-lr": "0.001", "--batch": "32", "--device-batch": "16", "--epochs": "10"}
SAME_AS = {"--iterations": "--epochs"}
_NET = re.compile(r"(alexnet|vgg|resnet)(\d+)?(?:-(original|he))?")


@contextmanager
def finetuning_solver(
    net: str, weights: Path, classes: int, *, global_stats: bool, options: Sequence[str]
) -> Iterator[tuple[Path, list[str]]]:
    """The solver of a model folder that is gone in the end; and what to tell, what `weights` fill included.

    `net` is a name like resnet50, resnet50-he, vgg16-original; `options` are those of its generator. Raises
    InputError for what the generator refuses, and for weights that do not fit.
    """
    family, arguments = _generator(net)
    name = f"classifier_{classes}"
    arguments += [
        "--classes",
        str(classes),
        "--classifier-name",
        name,
        "--lr-mult",
        f"{name}={CLASSIFIER_RATE}",
    ]
    if global_stats and "--original" not in arguments:
        arguments.append("--global-stats")
    given = {option.partition("=")[0] for option in options}
    given |= {SAME_AS[option] for option in given & SAME_AS.keys()}
    for option, value in DEFAULTS.items():
        if option not in given:
            arguments += [option, value]
    with tempfile.TemporaryDirectory(prefix="batchbrew-finetune-") as folder:
        arguments += [*options, "--name", f"{net}_finetuned", "--out", folder]
        parser = generator_parser(family, "batchbrew finetune")
        warnings: list[str] = []
        _, model = requested_model(family, parser.parse_args(arguments), warnings.append)
        made_by = f"batchbrew finetune --net {net} --weights {weights} --classes {classes}"
        notes = write_run_model(Path(folder), model, warnings, made_by)
        match = match_weights(model.train_val, weights)
        if lacking := [layer for layer in match.without_identity if layer != name]:
            raise InputError(
                f"{weights} has no weights for {some(lacking)} of {net}: they are those of another network, or of "
                "another variant of this one"
            )
        yield Path(folder) / SOLVER, [*notes, f"{weights}: {match}"]


def _generator(net: str) -> tuple[str, list[str]]:
    """Family and options of a net's name."""
    match = _NET.fullmatch(net)
    if match is None:
        raise InputError(
            f"--net {net} is not known: it is alexnet, vgg16, resnet50 and the like, with -original (alexnet, vgg) "
            "or -he (resnet) where that is meant"
        )
    family, depth, suffix = match.groups()
    if (depth is None) != (family == "alexnet") or (suffix == "he") != (
        suffix is not None and family == "resnet"
    ):
        raise InputError(
            f"--net {net} is not known: alexnet has no depth, vgg and resnet have; -he is for resnet"
        )
    arguments = [] if depth is None else ["--depth", depth]
    return family, [*arguments, *{"he": ["--variant", "he"], "original": ["--original"], None: []}[suffix]]
