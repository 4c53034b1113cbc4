"""LSTM and RNN: T steps of N streams. Caffe unrolls them into a net; here a step is a few products."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from batchbrew.caffe import mode
from batchbrew.caffe.blob import Blob
from batchbrew.caffe.layer import StandardLayer, layer
from batchbrew.caffe.layers import lstm_unit
from batchbrew.caffe.memory_limit import MemoryLimit
from batchbrew.nets.shapes.registry import Refusal
from batchbrew.proto import caffe_pb2 as pb

MOST_STEPS = 100_000  # each takes its time, however small it is; Caffe makes a dozen layers of each


class _Recurrent(StandardLayer):
    """Bottoms: the sequence T×N×..., marks T×N (0 where a sequence begins, so that nothing is remembered), perhaps a
    static input N×... for all steps, and with `expose_hidden` the hidden states before the first step. Tops: the
    outputs T×N×D, and with `expose_hidden` the hidden states after the last step.

    Without `expose_hidden` the states are carried over from one forward pass to the next, of training and of
    testing nets alike. No gradient goes across passes, nor into exposed states. As in Caffe the inputs' and all
    parameters' gradients are computed whenever the layer runs backward, asked for or not.
    """

    states: int  # how many hidden states there are

    def fillers(self) -> Sequence[pb.FillerParameter | None]:
        """Of W, b, W_static if there is such an input, W_h, and of RNN's output layer."""
        parameter = self.layer_param.recurrent_param
        weights, bias = parameter.weight_filler, parameter.bias_filler
        return [weights, bias, *[weights] * self._first_recurrent, bias]

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Begin with states of zero."""
        parameter = self.layer_param.recurrent_param
        self._first_exposed = len(bottom) - (self.states if parameter.expose_hidden else 0)
        self._has_static = self._first_exposed == 3
        super().setup(bottom, top)
        self._steps = bottom[0].shape[0]
        self._carried = [torch.zeros(0)] * self.states

    def reshaped(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """The number of streams may change, that of steps not. Raises Refusal for more than can be kept."""
        steps, streams = bottom[0].shape[:2]
        if steps != self._steps:
            raise Refusal(f"was built for {self._steps} steps, and cannot take {steps}")
        if steps > MOST_STEPS:
            raise Refusal(f"has {steps:,} steps: it is unrolled to {MOST_STEPS:,} at most; cut the sequences")
        gates = self.blobs[0].shape[0]
        MemoryLimit().check(2 * steps * streams * gates)  # with what each step keeps for the backward pass

    def allow_force_backward(self, index: int) -> bool:
        """Not to the marks."""
        return index != 1

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Project all inputs at once, then step by step."""
        self._marks = bottom[1].lasting_data[..., None]
        exposed = bottom[self._first_exposed :]
        before = [blob.data_tensor[0] for blob in exposed] or self._states_of(bottom[0].shape[1])
        outputs, after = self._run(self._project(bottom), before)
        top[0].data_tensor = torch.stack(outputs)
        for blob, state in zip(top[1:], after, strict=False):
            blob.data_tensor = state[None].clone()
        if not exposed:
            self._carry(after)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Through time, then to inputs and parameters of all steps at once."""
        if propagate_down[1]:
            raise Refusal("has no gradient for its marks, bottom 1: propagate_down: false stops it")
        gradient = torch.stack(self._run_back(top[0].diff_tensor))
        steps = gradient.flatten(0, 1)
        x = bottom[0].data_tensor
        self.blobs[0].add_diff(steps.T @ x.reshape(len(steps), -1))
        self.blobs[1].add_diff(steps.sum(0))
        bottom[0].diff_tensor = (steps @ self.blobs[0].data_tensor).reshape(x.shape)
        if self._has_static:
            static, summed = bottom[2].data_tensor, gradient.sum(0)
            self.blobs[2].add_diff(summed.T @ static.reshape(len(static), -1))
            bottom[2].diff_tensor = (summed @ self.blobs[2].data_tensor).reshape(static.shape)

    def _project(self, bottom: Sequence[Blob]) -> Tensor:
        """What the inputs bring to each step, T×N×gates."""
        x = bottom[0].data_tensor
        rows = x.reshape(prod(x.shape[:2]), -1)
        projected = rows @ self.blobs[0].data_tensor.T + self.blobs[1].data_tensor
        projected = projected.reshape(*x.shape[:2], -1)
        if self._has_static:
            static = bottom[2].data_tensor
            projected = projected + static.reshape(len(static), -1) @ self.blobs[2].data_tensor.T
        return projected

    @property
    def _first_recurrent(self) -> int:
        """The number of the weights that read the hidden state."""
        return 3 if self._has_static else 2

    def _run(self, inputs: Tensor, states: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """From what the inputs bring and the states (N×D each) to each step's output and the last states."""
        raise NotImplementedError

    def _run_back(self, outputs: Tensor) -> list[Tensor]:
        """From the gradients of the outputs to those of what the inputs brought; adds to recurrent parameters'."""
        raise NotImplementedError

    def _states_of(self, streams: int) -> list[Tensor]:
        """The carried states. For fewer streams than there ever were Caffe reads the numbers as they lie in memory; for
        more it takes new memory, of zeros.
        """
        width = self.layer_param.recurrent_param.num_output
        size, device = streams * width, mode.device()
        if size > len(self._carried[0]):
            self._carried = [torch.zeros(size)] * self.states
        self._carried = [state.to(device) for state in self._carried]
        return [state[:size].reshape(streams, width) for state in self._carried]

    def _carry(self, states: Sequence[Tensor]) -> None:
        self._carried = [
            torch.cat([state.flatten(), old[state.numel() :]])
            for state, old in zip(states, self._carried, strict=True)
        ]


@layer("LSTM")
class LSTM(_Recurrent):
    """Gates i, f, o, g = W·x + b + W_static·static + W_h·(mark·h), then as LSTMUnit; its states are h and c.

    Parameters: W, b, W_static if there is such an input, W_h.
    """

    states = 2

    def _run(self, inputs: Tensor, states: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        weights = self.blobs[self._first_recurrent].data_tensor.T
        state, cell = states
        outputs, self._done, self._remembered = [], [], []
        for gates, marks in zip(inputs, self._marks, strict=True):
            remembered = state * marks
            done = lstm_unit.step(cell, remembered @ weights + gates, marks)
            state, cell = lstm_unit.hidden(done), done.cell
            self._done.append(done)
            self._remembered.append(remembered)
            outputs.append(state)
        return outputs, [state, cell]

    def _run_back(self, outputs: Tensor) -> list[Tensor]:
        weights = self.blobs[self._first_recurrent].data_tensor
        state, cell = torch.zeros_like(outputs[0]), torch.zeros_like(outputs[0])
        gradients: list[Tensor] = []
        for output, done, marks in zip(
            reversed(outputs.unbind()), reversed(self._done), reversed(self._marks.unbind()), strict=True
        ):
            cell, gates = lstm_unit.step_back(done, cell, output + state)
            state = gates @ weights * marks
            gradients.append(gates)
        gradients.reverse()
        self.blobs[self._first_recurrent].add_diff(torch.cat(gradients).T @ torch.cat(self._remembered))
        return gradients


@layer("RNN")
class RNN(_Recurrent):
    """h' = tanh(W·x + b + W_static·static + W_h·(mark·h)), and the output is tanh(W_o·h' + b_o); its state is h.

    Parameters: W, b, W_static if there is such an input, W_h, W_o, b_o.
    """

    states = 1

    def _run(self, inputs: Tensor, states: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        weights, out, bias = self._recurrent_weights()
        state = states[0]
        self._hidden, self._remembered = [], []
        for brought, marks in zip(inputs, self._marks, strict=True):
            remembered = state * marks
            state = (remembered @ weights.T + brought).tanh()
            self._hidden.append(state)
            self._remembered.append(remembered)
        self._outputs = [(state @ out.T + bias).tanh() for state in self._hidden]
        return self._outputs, [state]

    def _run_back(self, outputs: Tensor) -> list[Tensor]:
        weights, out, _ = self._recurrent_weights()
        above = outputs * (1 - torch.stack(self._outputs).square())
        state = torch.zeros_like(outputs[0])
        gradients: list[Tensor] = []
        for output, kept, marks in zip(
            reversed(above.unbind()), reversed(self._hidden), reversed(self._marks.unbind()), strict=True
        ):
            before = (output @ out + state) * (1 - kept.square())
            state = before @ weights * marks
            gradients.append(before)
        gradients.reverse()
        recurrent, out_weights, out_bias = self.blobs[self._first_recurrent :]
        recurrent.add_diff(torch.cat(gradients).T @ torch.cat(self._remembered))
        out_weights.add_diff(above.flatten(0, 1).T @ torch.cat(self._hidden))
        out_bias.add_diff(above.sum((0, 1)))
        return gradients

    def _recurrent_weights(self) -> tuple[Tensor, Tensor, Tensor]:
        weights, out, bias = (blob.data_tensor for blob in self.blobs[self._first_recurrent :])
        return weights, out, bias
