"""Solvers: the loop of training, and what pycaffe shows of it (solver.cpp, sgd_solver.cpp)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from batchbrew.caffe import engine_log, mode
from batchbrew.caffe.debug_info import DebugInfo
from batchbrew.caffe.memory_limit import MemoryLimit, exhausted, is_exhaustion
from batchbrew.caffe.net import Net
from batchbrew.caffe.solving import snapshot_files, solver_file, solver_log
from batchbrew.caffe.solving.update_rules import RULES, UpdateRule
from batchbrew.caffe.solving.updates import Updater
from batchbrew.caffe.uncopied import Uncopied
from batchbrew.caffe.weight_files import HDF5_SUFFIX
from batchbrew.errors import EngineError, InputError
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb
from batchbrew.proto.files import is_there
from batchbrew.solver.schedule import learning_rate, rate_after_steps


@runtime_checkable
class Callback(Protocol):
    """What a solver calls in every iteration: NCCL is one."""

    def on_start(self) -> object:
        """Before the forward pass."""

    def on_gradients_ready(self) -> object:
        """Between the backward pass and the update."""


class _Functions:
    """A callback made of two functions."""

    def __init__(self, on_start: Callable[[], object], on_gradients_ready: Callable[[], object]) -> None:
        self.on_start = on_start
        self.on_gradients_ready = on_gradients_ready


class Solver(Uncopied):
    """The base of all solvers; `SGDSolver(prototxt)` and its like are made of a solver's prototxt.

    `iter` counts updates. As in pycaffe, the device is that of set_mode_cpu and set_mode_gpu, whatever the
    prototxt's solver_mode says. Raises InputError for files that cannot be read or trained.
    """

    type: ClassVar[str]

    keep_blobs: bool | None = None
    """May blobs and gradients of the training net be looked at after, and by callbacks within, each iteration?

    None: after the last iteration of a `step`, and in all while there are callbacks. False takes less time and memory:
    inputs and outputs of the net alone stay, and callbacks of two functions find the gradients gone, or not yet there.
    """

    def __init__(self, solver_file_path: str | Path) -> None:
        path = Path(solver_file_path)
        self._init(solver_file.read_solver(path), path)

    @classmethod
    def from_param(cls, param: pb.SolverParameter, path: Path) -> "Solver":
        """The solver of `param`, which was read from `path`."""
        made = cls.__new__(cls)
        made._init(param, path)
        return made

    def _init(self, param: pb.SolverParameter, path: Path) -> None:
        self.param = param
        self.iter = 0
        self._current_step = 0
        self._callbacks: list[Callback] = []
        try:
            rule = RULES[self.type](param)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        solver_file.log_solver(param)
        solver_file.check_snapshot_prefix(param, path)
        if param.random_seed >= 0:
            mode.set_random_seed(param.random_seed + mode.solver_rank())
        self.net = self._make_net(solver_file.train_net(param, path))
        self.test_nets = self._make_test_nets(solver_file.test_nets(param, path))
        engine_log.info("solver.cpp:57", "Solver scaffolding done.")
        self._updater = self._make_updater(rule, path)
        self._smoothed = solver_log.SmoothedLoss(param.average_loss)
        self._pace = solver_log.Pace()
        self._debug_info = DebugInfo(self.net) if param.debug_info else None
        for net in self.test_nets if param.debug_info else ():
            DebugInfo(net, on=True)

    def _make_net(self, param: pb.NetParameter) -> Net:
        net = Net.from_param(param)
        for weights in solver_file.weight_files(self.param):
            engine_log.info("solver.cpp:72", f"Finetuning from {weights}")
            net.copy_from(weights)
        return net

    def _make_test_nets(self, named: Sequence[solver_file.NamedNet]) -> list[Net]:
        nets = []
        for index, each in enumerate(named):
            engine_log.info("solver.cpp:190", f"Creating test net (#{index}) specified by {each.source}")
            nets.append(self._make_net(each.param))
        return nets

    def _make_updater(self, rule: UpdateRule, path: Path) -> Updater:
        numbers = sum(each.blob.count for each in self.net.learnable_params)
        try:
            MemoryLimit().check(numbers * (1 + rule.histories))  # the gradients, and what the rule remembers
        except Refusal as refusal:
            raise InputError(f"{path}: {numbers:,} numbers are to be learned: {refusal}") from None
        return Updater(self.param, self.net, rule)

    # Training

    def step(self, iterations: int) -> None:
        """Train for so many iterations. Raises InputError where they would be more than Caffe counts."""
        self._step(iterations, keep_last=True)

    def _step(self, iterations: int, keep_last: bool) -> None:
        if (stop := self.iter + iterations) > snapshot_files.LARGEST_ITERATION:
            raise InputError(f"iteration {stop:,}: Caffe counts up to {snapshot_files.LARGEST_ITERATION:,}")
        self._smoothed = solver_log.SmoothedLoss(self.param.average_loss)
        self._pace.start()
        try:
            while self.iter < stop:
                self._iterate(self._keeps(is_last=keep_last and self.iter + 1 == stop))
        finally:
            self._pace.stop()

    def solve(self, resume: str | Path | None = None) -> None:
        """Train up to max_iter, from the solver state in `resume` if given; snapshot, and test once more."""
        engine_log.info("solver.cpp:289", f"Solving {self.net.name}")
        engine_log.info("solver.cpp:290", f"Learning Rate Policy: {self.param.lr_policy}")
        if resume is not None:
            engine_log.info("solver.cpp:296", f"Restoring previous solver status from {resume}")
            self.restore(resume)
        self._step(self.param.max_iter - self.iter, keep_last=False)
        if self.param.snapshot_after_train and not self._is_due(self.param.snapshot):
            self.snapshot()
        if self._is_due(self.param.display):
            self._smoothed.add(self.net.forward_pass())
            engine_log.info(
                "solver.cpp:327", f"Iteration {self.iter}, loss = {engine_log.number(self._smoothed.value)}"
            )
        if self._is_due(self.param.test_interval):
            self._test_all()
        engine_log.info("solver.cpp:332", "Optimization Done.")

    def apply_update(self) -> None:
        """Change the weights by their gradients, and count that as an iteration."""
        rate = self._rate_of_update()
        try:
            self._updater.apply(rate, self.iter)
        except (MemoryError, RuntimeError) as error:
            if not is_exhaustion(error):
                raise
            raise EngineError(f"the update of iteration {self.iter} {exhausted()}") from error
        self.iter += 1

    def _rate_of_update(self) -> float:
        rate = self._learning_rate()
        if self._is_due(self.param.display):
            engine_log.info("sgd_solver.cpp:112", f"Iteration {self.iter}, lr = {engine_log.number(rate)}")
        return rate

    @property
    def lr(self) -> float:
        """The learning rate of iteration `iter`."""
        if self.param.lr_policy == "multistep":
            return rate_after_steps(self.param, self._current_step + self._at_next_step())
        return learning_rate(self.param, self.iter)

    def add_callback(
        self,
        on_start: Callback | Callable[[], object],
        on_gradients: Callable[[], object] | None = None,
    ) -> None:
        """Have two functions called in every iteration, before its forward pass and before its update; or the
        methods `on_start` and `on_gradients_ready` of one object. What they raise ends `step`.
        """
        if on_gradients is None and isinstance(on_start, Callback):
            self._callbacks.append(on_start)
        elif callable(on_start) and callable(on_gradients):
            self._callbacks.append(_Functions(on_start, on_gradients))
        else:
            raise TypeError("add_callback takes two functions, on_start and on_gradients, or an NCCL")

    def share_weights(self, net: Net) -> None:
        """Have `net` use the weights of the training net, by layer name."""
        net.share_with(self.net)

    def _keeps(self, is_last: bool) -> bool:
        """Is anything kept in this iteration that training does not need?"""
        if self._debug_info is not None:
            return True
        return is_last or bool(self._callbacks) if self.keep_blobs is None else self.keep_blobs

    def _iterate(self, keep: bool) -> None:
        self.net.clear_param_diffs()
        if self._is_due(self.param.test_interval) and (self.iter > 0 or self.param.test_initialization):
            self._test_all()
        for callback in self._callbacks:
            callback.on_start()
        display = self._is_due(self.param.display)
        if self._debug_info is not None:
            self._debug_info.on = display
        if (
            not keep
            and self._updater.takes_each_alone
            and all(isinstance(each, _Functions) for each in self._callbacks)
        ):
            self._update_on_the_way(display)
        else:
            self._smoothed.add(self._forward_backward(keep))
            self._tell(display)
            self.apply_update()
        self._pace.iterations += 1
        if self._is_due(self.param.snapshot):
            self.snapshot()

    def _tell(self, display: bool) -> None:
        if display and engine_log.is_on():
            solver_log.log_progress(self.iter, self.param.display, self._smoothed.value, self._pace, self.net)
        for callback in self._callbacks:
            callback.on_gradients_ready()

    def _update_on_the_way(self, display: bool) -> None:
        """Change weights as soon as they have their gradients, which then need not be kept."""
        self._updater.make_room()
        self._smoothed.add(self.net.forward_pass(keep=False))
        self._tell(display)
        self.net.backward_pass(keep=False, learned=self._updater.begin(self._rate_of_update(), self.iter))
        self.iter += 1

    def _forward_backward(self, keep: bool) -> Tensor:
        """The mean loss of iter_size passes, whose gradients add up."""
        loss = torch.zeros((), device=mode.device())
        for _ in range(self.param.iter_size):
            loss = loss + self.net.forward_pass(keep=keep)
            self.net.backward_pass(keep=keep)
            if self._debug_info is not None:
                self._debug_info.after_pass()
        return loss / self.param.iter_size

    def _is_due(self, interval: int) -> bool:
        return interval > 0 and self.iter % interval == 0

    def _learning_rate(self) -> float:
        policy = self.param.lr_policy
        if policy == "multistep":
            if self._at_next_step():
                self._current_step += 1
                engine_log.info(
                    "sgd_solver.cpp:50",
                    f"MultiStep Status: Iteration {self.iter}, step = {self._current_step}",
                )
            return rate_after_steps(self.param, self._current_step)
        if policy == "step" and self.param.stepsize > 0:
            self._current_step = self.iter // self.param.stepsize
        return learning_rate(self.param, self.iter)

    def _at_next_step(self) -> bool:
        values = self.param.stepvalue
        return self._current_step < len(values) and self.iter >= values[self._current_step]

    # Testing

    def _test_all(self) -> None:
        if mode.is_root_solver():
            for index, net in enumerate(self.test_nets):
                self._test(index, net)

    def _test(self, index: int, net: Net) -> None:
        engine_log.info("solver.cpp:347", f"Iteration {self.iter}, Testing net (#{index})")
        net.share_with(self.net)
        loss, scores = solver_log.mean_outputs(net, self.param.test_iter[index])
        if self.param.test_compute_loss:
            engine_log.info("solver.cpp:401", f"Test loss: {engine_log.number(loss)}")
        solver_log.log_scores(net, scores)

    # Snapshots

    def snapshot(self) -> None:
        """Write weights and solver state; of several solvers that train together, only the first does.

        Raises InputError where they cannot be written; training can go on then.
        """
        if mode.is_root_solver():
            snapshot_files.write_snapshot(
                self.net, self.param, self.iter, self._current_step, self._updater.history
            )

    def restore(self, path: str | Path) -> None:
        """Go on from a solver state and the weights that it names. Raises InputError and changes nothing if one of
        them is not of this net and this type of solver.
        """
        history = self._updater.history
        state = snapshot_files.read_state(Path(path), history)
        if state.learned_net is not None:
            if not is_there(Path(state.learned_net)):
                raise InputError(
                    f"{path} goes with the weights {state.learned_net}, which are not there: start from the folder "
                    "that they are seen from"
                )
            self.net.copy_from(state.learned_net)
        if not str(path).endswith(HDF5_SUFFIX):
            engine_log.info("sgd_solver.cpp:336", "SGDSolver: restoring history")
        self.iter, self._current_step = state.iteration, state.current_step
        for blob, array in zip(history, state.history, strict=True):
            blob.data[...] = array.reshape(blob.shape)
