"""Named shift registers with linear feedback: polynomial, seed, step as graph, draws in row-major order."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxsim.formats import UQ
from fxsim.trace import Tensor, concat

POLYNOMIALS: dict[str, tuple[int, ...]] = {
    "lfsr8": (8, 6, 5, 4),
    "lfsr16": (16, 14, 13, 11),
    "lfsr24": (24, 23, 22, 17),
    "lfsr32": (32, 31, 30, 10),
}
"""Exponents of primitive polynomials, the constant 1 left out: x^16 + x^14 + x^13 + x^11 + 1 is lfsr16."""


@dataclass(frozen=True)
class Lfsr:
    """A Fibonacci register that shifts right; the state is an unsigned integer, its seed not 0.

    One step, with the exponents E of the polynomial (its degree n among them):

        b = xor of the bits n - e of the state, for e in E;    state' = (state >> 1) | (b << (n - 1))

    For lfsr16 that is b = bit0 ^ bit2 ^ bit3 ^ bit5. The polynomials of `POLYNOMIALS` are primitive, so that
    every state but 0 comes once in 2**n - 1 steps. A draw of k bits advances the register by `steps` steps,
    by default k, so that no bit is drawn twice, and then reads the low k bits; draws go through a tensor row
    by row. The emulator, the hardware and `draws` share this order.

    Raises ValueError for a name or seed that there is none of, TypeError for a seed that is no integer.
    """

    name: str = "lfsr16"
    seed: int = 0xACE1

    def __post_init__(self) -> None:
        if self.name not in POLYNOMIALS:
            raise ValueError(f"name must be one of {', '.join(POLYNOMIALS)}, not {self.name!r}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, (int, np.integer)):
            raise TypeError(f"seed must be an integer, not {self.seed!r}")
        if not 0 < self.seed < 1 << self.width:
            raise ValueError(f"seed of {self.name} must lie in 1..{(1 << self.width) - 1}, not {self.seed!r}")
        object.__setattr__(self, "seed", int(self.seed))

    @property
    def width(self) -> int:
        """Bits of the state."""
        return POLYNOMIALS[self.name][0]

    @property
    def taps(self) -> tuple[int, ...]:
        """Bits of the state that the feedback adds up."""
        return tuple(self.width - e for e in POLYNOMIALS[self.name])

    @property
    def polynomial(self) -> str:
        return " + ".join([*(f"x^{e}" for e in POLYNOMIALS[self.name]), "1"]).replace("x^1 ", "x ")

    def next(self, state: int, steps: int = 1) -> int:
        """The state after `steps` steps, by the definition."""
        for _ in range(steps):
            fed = 0
            for tap in self.taps:
                fed ^= state >> tap & 1
            state = state >> 1 | fed << self.width - 1
        return state

    def draws(
        self, count: int, bits: int, steps: int | None = None, state: int | None = None
    ) -> tuple[NDArray[np.int64], int]:
        """(`count` draws of `bits` bits, the state behind them), from `state` or the seed on."""
        steps = self._check_draw(bits, steps)
        state = self.seed if state is None else state
        out = np.empty(count, np.int64)
        for k in range(count):
            state = self.next(state, steps)
            out[k] = state & (1 << bits) - 1
        return out, state

    def _check_draw(self, bits: Any, steps: Any) -> int:
        if isinstance(bits, bool) or not isinstance(bits, (int, np.integer)) or not 1 <= bits <= self.width:
            raise ValueError(f"bits of a draw from {self.name} must lie in 1..{self.width}, not {bits!r}")
        if steps is None:
            return int(bits)
        if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
            raise ValueError(f"steps of a draw must be at least 1, not {steps!r}")
        return int(steps)

    # ---- as graph -------------------------------------------------------------------------------------

    def step(self, state: Tensor, steps: int = 1) -> Tensor:
        """The state after `steps` steps: as many at once as the taps allow, each a word of xors."""
        self._check_state(state)
        most = self.width - max(self.taps)  # steps whose feedback is of bits of this state alone
        with state.builder.block("lfsr", self.name, [state], {"name": self.name, "steps": steps}) as outputs:
            while steps:
                n = min(steps, most)
                fed = None
                for tap in self.taps:
                    field = bit_field(state, tap, n)
                    fed = field if fed is None else fed ^ field
                assert fed is not None
                state = bit_field(state, n, self.width - n) | (fed << (self.width - n))
                steps -= n
            outputs.append(state)
        return state

    def draw(
        self, state: Tensor, shape: tuple[int, ...], bits: int, steps: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """(unsigned draws of `bits` bits in `shape`, frac 0; the state behind them)."""
        steps = self._check_draw(bits, steps)
        drawn = []
        for _ in range(prod(shape)):
            state = self.step(state, steps)
            drawn.append(bit_field(state, 0, bits).reshape(1))
        if not drawn:
            raise ValueError(f"shape of a draw must have at least one element, not {shape}")
        return concat(drawn).reshape(*shape), state

    def _check_state(self, state: Tensor) -> None:
        if state.shape or state.frac or state.type.bounds != (0, (1 << self.width) - 1):
            raise TypeError(f"state of {self.name} must be a scalar UQ({self.width}, 0), not {state.type}")


def bit_field(x: Tensor, first: int, count: int) -> Tensor:
    """Bits first .. first + count - 1 of an integer tensor, as an unsigned one."""
    return (x >> first).cast(UQ(count, 0))
