"""What a net runs in place of several layers."""

from typing import Protocol


class Unit(Protocol):
    """Consecutive layers of a net, computed at once.

    After its passes all blobs give what Caffe's layers, one after another, would have left in them; those between
    its layers compute that only when they are asked. With `keep` false they, and the gradients, need not.
    """

    first: int
    last: int
    """The numbers of its layers; both are among them."""
    writes_again: bool
    """Can its last top's data be let go, and be computed again?"""

    @property
    def reads_blobs_backward(self) -> frozenset[int]:
        """The numbers of those layers whose backward passes read their bottoms' data all the same."""

    @property
    def is_touched(self) -> bool:
        """May somebody have written what the layers' own backward passes would read, since the forward pass?"""

    def forward(self, keep: bool) -> None:
        """The layers' forward passes. Raises what they raise."""

    def backward(self, keep: bool) -> None:
        """Their backward passes, from the last one to the first."""

    def let_go(self) -> None:
        """Let go of the last top's data, until they are asked for."""

    def hand_over(self) -> None:
        """Give the layers what their own forward passes would have kept, for backward passes one by one."""
