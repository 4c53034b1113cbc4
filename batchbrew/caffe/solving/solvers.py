"""The solvers of Caffe's six update rules, under pycaffe's names, and the choice that a prototxt makes of them."""

from pathlib import Path

from batchbrew.caffe.solving.solver import Solver
from batchbrew.caffe.solving.solver_file import read_solver
from batchbrew.errors import InputError


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum."""

    type = "SGD"


class NesterovSolver(Solver):
    """Nesterov's accelerated gradient."""

    type = "Nesterov"


class AdaGradSolver(Solver):
    """Duchi et al., 2011."""

    type = "AdaGrad"


class RMSPropSolver(Solver):
    """Tieleman and Hinton, 2012."""

    type = "RMSProp"


class AdaDeltaSolver(Solver):
    """Zeiler, 2012."""

    type = "AdaDelta"


class AdamSolver(Solver):
    """Kingma and Ba, 2014."""

    type = "Adam"


SOLVERS: dict[str, type[Solver]] = {kind.type: kind for kind in Solver.__subclasses__()}


def get_solver(solver_file_path: str | Path) -> Solver:
    """The solver of the type that its prototxt names. Raises InputError."""
    path = Path(solver_file_path)
    param = read_solver(path)
    kind = SOLVERS.get(param.type)
    if kind is None:
        raise InputError(f"{path}: solver type {param.type!r} is unknown: Caffe knows {', '.join(SOLVERS)}")
    return kind.from_param(param, path)
