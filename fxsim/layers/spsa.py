"""Descent without gradients: SPSA on integers, and the likelihood regret that STARNet measures by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fxsim.formats import SQ, UQ, Format
from fxsim.integers import IntArray
from fxsim.layers.lfsr import Lfsr, bit_field
from fxsim.machine import Machine
from fxsim.trace import Tensor, concat, select, trace
from fxsim.types import TensorType

Loss = Callable[..., Tensor]
"""loss(parameters, *inputs) -> scalar, as graph."""


@dataclass(frozen=True)
class Spsa:
    """Simultaneous perturbation with a fixed gain, in raw integers of the parameters and of the loss.

        D_i = +1 or -1 for every parameter i, from the register
        dL  = L(q + c D) - L(q - c D)
        q_i' = overflow(q_i - floor(D_i dL / 2**shift))

    The gradient's 1 / (2c) and the gain are in `shift`. Two values of the loss per step, whatever the number
    of parameters (Spall, IEEE Trans. Autom. Control 37, 1992; as used by STARNet, arXiv 2309.11006, one sign
    for each parameter, not for each tensor). Lost: the low bits of D_i dL, rounded down after the sign, and
    what `format` takes at its ends.

    format   of the parameters; its overflow is that of the update, its rounding is not used
    c        raw perturbation, at least 1
    shift    at least 0
    lfsr     source of the signs: the register makes a step, then bits 0, 4, 8, ... give a sign each, 1 is +;
             for more parameters than there are such bits it makes another step

    Raises ValueError that names the parameter.
    """

    format: Format
    c: int
    shift: int
    lfsr: Lfsr = field(default_factory=Lfsr)

    def __post_init__(self) -> None:
        for name, least in (("c", 1), ("shift", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name} of SPSA must be an integer of at least {least}, not {value!r}")
            object.__setattr__(self, name, int(value))

    def directions(self, state: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """(bits of `count` directions, the state behind them)."""
        bits: list[Tensor] = []
        while len(bits) < count:
            state = self.lfsr.step(state)
            places = range(0, self.lfsr.width, 4)[: count - len(bits)]
            bits += [bit_field(state, place, 1).reshape(1) for place in places]
        return concat(bits), state

    def step(
        self, q: Tensor, state: Tensor, loss: Loss, inputs: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor]:
        """(new parameters, new state of the register) for a vector q in `format`."""
        with q.builder.block(
            "spsa", "spsa", [q, state, *inputs], {"c": self.c, "shift": self.shift}
        ) as outputs:
            bits, state = self.directions(state, q.shape[0])
            move = select(bits, self.c, -self.c) >> q.frac
            difference = loss(q + move, *inputs) - loss(q - move, *inputs)
            if difference.shape:
                raise ValueError(f"loss must be a scalar, not of shape {difference.shape}")
            raw = difference << difference.frac
            signed = select(bits, raw, -raw)
            whole = SQ(signed.type.max_width + 1, 0)
            q = (q - ((signed >> self.shift).cast(whole) >> q.frac)).cast(self.format)
            outputs += [q, state]
        return q, state


def descend(
    method: Spsa,
    loss: Loss,
    start: Any,
    inputs: Sequence[Format | TensorType] = (),
    shapes: Sequence[tuple[int, ...]] = (),
) -> Machine:
    """A machine that makes a step of `method` at a time: gives the new parameters and their loss.

    start    raw parameters, a vector
    inputs   types of what `loss` reads beside the parameters, at every step; `shapes` of the Formats

    The loss that is given is a third evaluation, for watching; take `Spsa.step` to have two.
    """
    first = IntArray(start)

    def step(q: Tensor, state: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        q, state = method.step(q, state, loss, given)
        return q, state, q, loss(q, *given)

    return _machine(method, step, first, inputs, shapes, "spsa")


def likelihood_regret(
    method: Spsa,
    loss: Loss,
    start: Any,
    inputs: Sequence[Format | TensorType],
    shapes: Sequence[tuple[int, ...]] = (),
) -> Machine:
    """LR(x) = NLL(x; start) - NLL(x; adapted to x), after every step of `method` (STARNet, arXiv 2309.11006).

    loss     loss(parameters, x) is the negative log-likelihood, or its bound; the decoder inside is frozen
    start    raw parameters before the adaptation, a vector
    inputs   types of x; a stream is one x, held for as many steps as the adaptation takes

    A large regret tells that x is unlike what the model was trained on. Gives the regret and the adapted
    parameters; the published zeroth-order script evaluates the second term on parameters that were never
    adapted, which this does not.
    """
    first = IntArray(start)

    def step(q: Tensor, state: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        q, state = method.step(q, state, loss, given)
        before = q.builder.constant(first.array) >> method.format.frac
        return q, state, loss(before, *given) - loss(q, *given), q

    return _machine(method, step, first, inputs, shapes, "likelihood_regret")


def _machine(
    method: Spsa, step: Callable[..., tuple[Tensor, ...]], start: IntArray,
    inputs: Sequence[Format | TensorType], shapes: Sequence[tuple[int, ...]], name: str,
) -> Machine:  # fmt: skip
    if len(start.shape) != 1 or not start.shape[0]:
        raise ValueError(f"start must be a vector of at least one parameter, not of shape {start.shape}")
    sizes = [*shapes, *[()] * (len(inputs) - len(shapes))]
    types = [method.format, UQ(method.lfsr.width, 0), *inputs]
    graph = trace(step, *types, shape=[start.shape, (), *sizes], name=name)
    return Machine((start, IntArray(method.lfsr.seed)), graph)


def weighted_squares(weights: Any) -> Loss:
    """L(q) = sum_i weights_i q_i^2."""
    w = np.asarray(weights)
    return lambda q: (q * q * w).sum()


def gaussian_bound(decoder: Any, encoder: Any) -> Loss:
    """Bound of a Gaussian autoencoder of unit variances, times two: |x - W m|^2 + |m|^2 with m = E x + q.

    decoder   W, (features, latents); encoder E, (latents, features); both exact constants. The parameters q
              move the latent mean away from the encoder's, so that they begin at 0.
    """
    w, e = np.asarray(decoder), np.asarray(encoder)

    def loss(q: Tensor, x: Tensor) -> Tensor:
        mean = e @ x + q
        rest = x - w @ mean
        bound: Tensor = (rest * rest).sum() + (mean * mean).sum()
        return bound

    return loss
