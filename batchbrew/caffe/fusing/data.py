"""BatchNorm and Scale of the data, with the convolution behind them: all learn, and the data need no gradient."""

import torch
from torch import Tensor

from batchbrew.caffe.blob import Blob
from batchbrew.caffe.fusing.normalised import NormalisedChain
from batchbrew.caffe.layers.convolution import Convolution
from batchbrew.caffe.lifetimes import HOW_TO_KEEP


class DataConvolution:
    """The same numbers without the gradient of the convolution's input, which is what it takes longest for.

    Its input is s·x̂ + b, with zeros around it. So the gradient of a weight w of channel c is s·G + b·H, where G is the
    weights' gradient of a convolution of x̂, and H of one of ones; that of s is Σ w·G, that of b is Σ w·H.
    """

    writes_again = False

    def __init__(
        self,
        chain: NormalisedChain,
        convolution: Convolution,
        bottom: Blob,
        top: Blob,
        passes: bool,
    ) -> None:
        """`passes`: in Caffe the convolution's bottom gets a gradient."""
        self._passes = passes
        self.first, self.last = chain.first, chain.last + 1
        self._chain = chain
        self._convolution = convolution
        self._bottom, self._top = bottom, top

    @property
    def _asked(self) -> list[bool]:
        """Which parameters of the Scale learn."""
        scale = self._chain.scale
        return scale.param_propagate_down if scale is not None and self._chain.scale_learns else []

    @property
    def reads_blobs_backward(self) -> frozenset[int]:
        """The convolution, where it learns as ever."""
        return frozenset() if any(self._asked) else frozenset([self.last])

    def forward(self, keep: bool) -> None:
        """One after the other."""
        self._chain.forward(keep)
        self._convolution.reshape([self._bottom], [self._top])
        self._convolution.forward([self._bottom], [self._top])

    def backward(self, keep: bool) -> None:
        """Gradients of weights, bias, factors and shifts; those of the blobs when they are asked for."""
        convolution, scale, asked = self._convolution, self._chain.scale, self._asked
        if not any(asked):
            convolution.backward([self._top], [False], [self._bottom])
        else:
            assert scale is not None
            factors = scale.blobs[0].data_tensor
            shifts = scale.blobs[1].data_tensor if len(scale.blobs) > 1 else None
            weights = convolution.blobs[0].data_tensor
            of_numbers, of_ones = self._weight_gradients(weights)
            learned = convolution.param_propagate_down
            if learned[0]:
                total = of_numbers * factors[:, None, None]
                convolution.blobs[0].add_diff(
                    total if shifts is None else total + of_ones * shifts[:, None, None]
                )
            scale.learn(
                (weights * of_numbers).sum((0, 2, 3)) if asked[0] else None,
                (weights * of_ones).sum((0, 2, 3)) if len(asked) > 1 and asked[1] else None,
            )
        self._leave_diffs(keep)

    def _weight_gradients(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """G, O×C×h×w, and H, O×1×h×w; the bias learns on the way."""
        convolution = self._convolution
        dy = self._top.held_diff
        numbers = self._chain.normalised()
        learned = convolution.param_propagate_down
        biased = len(convolution.blobs) > 1 and learned[1]
        _, of_numbers, of_bias = convolution.gradients(dy, numbers, weights, (False, True, biased))
        if of_bias is not None:
            convolution.blobs[1].add_diff(of_bias)
        ones = torch.ones_like(numbers[:1, :1], dtype=torch.float32)
        total = _over_images(dy)
        _, of_ones, _ = convolution.gradients(total, ones, weights[:, :1], (False, True, False), exact=True)
        assert of_numbers is not None and of_ones is not None
        return of_numbers, of_ones

    def _leave_diffs(self, keep: bool) -> None:
        chain = self._chain
        if not keep:
            if self._passes:
                name = self._convolution.layer_param.bottom[0]
                self._bottom.drop_diff(f"the gradient of blob {name} was not kept {HOW_TO_KEEP}")
                chain.drop_diffs()
            chain.forget()
            return
        dy, weights = self._top.lasting_diff, self._convolution.blobs[0].data_tensor.clone()
        x, convolution = self._bottom.held_lasting_data, self._convolution

        def of_input() -> Tensor:
            gradient, _, _ = convolution.gradients(dy, x, weights, (True, False, False))
            assert gradient is not None
            return gradient

        if self._passes:
            chain.defer_gradients(of_input)

    @property
    def is_touched(self) -> bool:
        """The data of BatchNorm's or Scale's tops."""
        return self._chain.is_touched

    def let_go(self) -> None:
        """Not asked for."""

    def hand_over(self) -> None:
        """To BatchNorm and Scale; the convolution keeps nothing."""
        self._chain.hand_over()


def _over_images(dy: Tensor) -> Tensor:
    """The sum over N of N×O×h×w, 1×O×h×w, by rows of memory; PyTorch's own takes 20 times as long for channels_last."""
    if dy.is_contiguous():
        return dy.sum(0, keepdim=True, dtype=torch.float32)
    rows = dy.movedim(1, -1)
    total = rows.reshape(len(dy), -1).sum(0, keepdim=True, dtype=torch.float32)
    return total.reshape(1, *rows.shape[1:]).movedim(-1, 1)
