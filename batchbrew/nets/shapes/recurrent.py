"""Recurrent layers: T steps of N streams; Caffe unrolls them into inner products."""

from batchbrew.nets.shapes.axes import canonical_axis, count
from batchbrew.nets.shapes.registry import THREE, TWO, Answer, Arity, Refusal, Shape, Site, by, layer_rule

FEWEST_BOTTOMS, MOST_BOTTOMS = 2, 5  # sequence and its marks, static input, hidden states


@layer_rule("LSTM", bottoms=Arity(FEWEST_BOTTOMS, MOST_BOTTOMS), tops=Arity(1, 3))
def lstm(at: Site) -> Answer:
    """Four gates; its hidden states are h and c."""
    return _recurrent(at, gates=4, states=2, separate_output=False)


@layer_rule("RNN", bottoms=Arity(FEWEST_BOTTOMS, MOST_BOTTOMS - 1), tops=Arity(1, 2))
def rnn(at: Site) -> Answer:
    """A hyperbolic tangent, and an output layer of its own."""
    return _recurrent(at, gates=1, states=1, separate_output=True)


def _recurrent(at: Site, *, gates: int, states: int, separate_output: bool) -> Answer:
    parameter = at.layer.recurrent_param
    outputs, exposed = parameter.num_output, states if parameter.expose_hidden else 0
    if outputs < 1:
        raise Refusal("num_output must be given, 1 or more")
    plain = len(at.bottoms) - exposed
    if plain not in (2, 3) or at.tops != 1 + exposed:
        raise Refusal(
            f"takes {2 + exposed} or {3 + exposed} bottoms and {1 + exposed} tops, "
            f"not {len(at.bottoms)} and {at.tops}"
        )
    sequence, marks = at.bottoms[:2]
    if len(sequence) < 3:
        raise Refusal(f"takes a sequence of T×N×... numbers, not {by(sequence)}")
    steps, streams = sequence[:2]
    if marks != (steps, streams):
        raise Refusal(
            f"bottom {at.layer.bottom[1]} must be {steps}×{streams} like the sequence, not {by(marks)}"
        )
    state = (1, streams, outputs)
    for index in range(plain, len(at.bottoms)):
        if at.bottoms[index] != state:
            raise Refusal(f"bottom {at.layer.bottom[index]} must be {by(state)}, not {by(at.bottoms[index])}")
    parameters: list[Shape] = [(gates * outputs, count(sequence, 2)), (gates * outputs,)]
    multiply_adds = steps * streams * gates * outputs * count(sequence, 2)
    if plain == 3:
        inputs = _static_inputs(at, streams)
        parameters.append((gates * outputs, inputs))
        multiply_adds += streams * gates * outputs * inputs
    parameters.append((gates * outputs, outputs))
    multiply_adds += steps * streams * gates * outputs * outputs
    if separate_output:
        parameters += [(outputs, outputs), (outputs,)]
        multiply_adds += steps * streams * outputs * outputs
    return Answer([(steps, streams, outputs), *[state] * exposed], parameters, multiply_adds)


def _static_inputs(at: Site, streams: int) -> int:
    static = at.bottoms[2]
    canonical_axis(static, 1)
    if static[0] != streams:
        raise Refusal(
            f"bottom {at.layer.bottom[2]} must be {streams}×..., one for each stream, not {by(static)}"
        )
    return count(static, 1)


@layer_rule("LSTMUnit", bottoms=THREE, tops=TWO)
def lstm_unit(at: Site) -> Answer:
    """One step: cell 1×N×D, gates 1×N×4D, marks 1×N to the next cell and hidden state."""
    cell, gates, marks = at.bottoms
    if len(cell) != 3 or cell[0] != 1:
        raise Refusal(f"takes a cell of 1×N×D, not {by(cell)}")
    if gates != (1, cell[1], 4 * cell[2]) or marks != (1, cell[1]):
        raise Refusal(
            f"takes gates of 1×{cell[1]}×{4 * cell[2]} and marks of 1×{cell[1]}, not {by(gates)} and {by(marks)}"
        )
    return Answer([cell, cell])
