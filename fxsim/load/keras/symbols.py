"""What a Keras tensor becomes while loading: exact integers, the host's real input, or a function."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fxsim.host import HostStep
from fxsim.integers import Array
from fxsim.load.affine import Activation
from fxsim.ops.wiring import Wiring
from fxsim.types import TensorType


@dataclass(frozen=True)
class HostInput:
    """A real input before its first quantizer: what the host does to it, and the wiring met so far.

    `before` is the float32 arithmetic that stands before it, in order.
    """

    name: str
    start: tuple[int, ...]
    shape: tuple[int, ...]
    wiring: tuple[Wiring, ...] = ()
    before: tuple[HostStep, ...] = ()

    def wired(self, op: Wiring) -> HostInput:
        """The same input behind one more wiring op."""
        shape = op.infer(TensorType.constant(np.zeros(self.shape, np.int64), 0)).shape
        return replace(self, shape=shape, wiring=(*self.wiring, op))

    def then(self, *steps: HostStep) -> HostInput:
        """The same input after further float32 steps on the host; ValueError behind padding."""
        if np.any(self.places() == 0):
            raise ValueError(
                f"input {self.name!r} is padded before it is rescaled; rescale it first, then pad"
            )
        return replace(self, before=(*self.before, *steps))

    def places(self) -> Array:
        """For each element after the wiring: 1 + the flat index of the input's element, 0 for padding."""
        index = np.arange(1, int(np.prod(self.start, dtype=np.int64)) + 1).reshape(self.start)
        for op in self.wiring:
            index = np.asarray(op.place(index, index.ndim, 0))
        return index


@dataclass(frozen=True)
class Mapped:
    """function(real value of `inner`), not computed yet: the next quantizer makes it a table.

    `affine` is (scale, bias) in float32, applied to the value before the function.
    """

    inner: Activation
    function: str
    parameters: tuple[float, ...] = ()
    affine: tuple[float, float] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.inner.shape


Symbol = Activation | HostInput | Mapped

__all__ = ["Activation", "HostInput", "Mapped", "Symbol"]
