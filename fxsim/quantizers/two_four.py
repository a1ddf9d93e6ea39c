"""2:4 structured sparsity: two of every four weights, stored as values and two-bit indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim.integers import Array, IntArray, exact

KEEP, ERROR = "keep", "error"


def prune(weights: Any) -> np.ndarray[Any, Any]:
    """The weights with the two smallest magnitudes of every four along the first axis set to 0.

    weights  (n, ...) of reals or integers, n a multiple of 4, the reduction axis first as in x @ weights. Of
    equal magnitudes the lower index stays. Raises ValueError for another n, or NaN.
    """
    w = np.asarray(weights)
    groups = _groups(w)
    magnitude = abs(groups)
    if np.any(magnitude != magnitude):
        raise ValueError("weights must not be NaN")
    # A stable sort of the descending magnitudes keeps equal ones in the order of their indices.
    order = np.argsort(-magnitude, axis=1, kind="stable")
    kept = np.zeros(groups.shape, bool)
    np.put_along_axis(kept, order[:, :2], True, axis=1)
    return np.where(kept, groups, groups.dtype.type(0) if w.dtype != object else 0).reshape(w.shape)


@dataclass(frozen=True)
class TwoFour:
    """Packed integer weights: value k of a group of four stands at index k, 0 <= index 0 < index 1 <= 3.

    values   (n / 2, ...), two per group, one group after another along the first axis
    indices  of the same shape, place within the group

    Raises ValueError for indices that do not ascend in their group or leave 0..3, and for unequal shapes.
    """

    values: IntArray
    indices: IntArray

    def __post_init__(self) -> None:
        for name in ("values", "indices"):
            value = getattr(self, name)
            object.__setattr__(self, name, value if isinstance(value, IntArray) else IntArray(exact(value)))
        v, i = self.values.array, self.indices.array
        if v.shape != i.shape or not v.ndim or not len(v) or len(v) % 2:
            raise ValueError(
                f"values and indices must have one shape (n / 2, ...), not {v.shape} and {i.shape}"
            )
        if i.size and (i.min() < 0 or i.max() > 3 or np.any(i[0::2] >= i[1::2])):
            raise ValueError("indices must be two ascending integers of 0..3 in every group")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the full weights."""
        return (2 * self.values.shape[0], *self.values.shape[1:])

    @property
    def nibbles(self) -> Array:
        """(n / 4, ...): index 0 | index 1 << 2 of each group."""
        i = self.indices.array
        return np.asarray(i[0::2] | i[1::2] << 2)

    @property
    def rows(self) -> Array:
        """Positions of the values on the first axis of the full weights."""
        i = self.indices.array
        group = np.arange(len(i)) // 2
        return np.asarray(i + 4 * group.reshape(-1, *(1,) * (i.ndim - 1)))

    @classmethod
    def of_nibbles(cls, values: Any, nibbles: Any) -> TwoFour:
        """From values (n / 2, ...) and nibbles (n / 4, ...)."""
        codes = exact(nibbles)
        if codes.size and (codes.min() < 0 or codes.max() > 15):
            raise ValueError(f"nibbles must lie in 0..15, not {codes.min()}..{codes.max()}")
        indices = np.stack([codes & 3, codes >> 2], axis=1)
        return cls(IntArray(exact(values)), IntArray(indices.reshape(2 * codes.shape[0], *codes.shape[1:])))

    def unpack(self) -> Array:
        """The full weights, zeros where nothing is stored."""
        out = np.zeros(self.shape, self.values.array.dtype)
        np.put_along_axis(out, self.rows, self.values.array, axis=0)
        return out

    def bits_per_weight(self, bits: int) -> float:
        """(2 * bits + 4) / 4 for values of `bits`: 5 for 8 bits, 32 / 5 = 6.4 times less than float32."""
        return (2 * bits + 4) / 4


def pack(weights: Any, empty: str = ERROR) -> TwoFour:
    """Integer weights with at most two non-zeros in every four along the first axis, packed.

    A group with one non-zero stores the lowest other index beside it, with value 0.

    empty  a group of zeros only, which most often is a lost channel: "error" raises ValueError that names it,
           "keep" stores values 0, 0 at indices 0, 1

    Raises ValueError for three or more non-zeros in a group (use `prune` first) and for a first axis that is
    no multiple of 4; TypeError for what are no integers.
    """
    if empty not in (KEEP, ERROR):
        raise ValueError(f"empty must be {KEEP!r} or {ERROR!r}, not {empty!r}")
    w = exact(weights)
    groups = _groups(w)
    nonzero = groups != 0
    count = nonzero.sum(axis=1)
    for bad, what in (
        (count > 2, "at most two non-zeros (prune the weights first)"),
        (count == 0, "a non-zero"),
    ):
        if np.any(bad) and (empty == ERROR or np.any(count > 2)):
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            group = np.moveaxis(groups, 1, -1)[at].tolist()
            where = f"group {at[0]}" + (f" of column {', '.join(map(str, at[1:]))}" if at[1:] else "")
            raise ValueError(f"every four weights must have {what}, not {group} in {where}")
    # The non-zeros come first, in order; the lowest zeros fill up.
    chosen = np.sort(np.argsort(~nonzero, axis=1, kind="stable")[:, :2], axis=1)
    values = np.take_along_axis(groups, chosen, axis=1)
    half = (w.shape[0] // 2, *w.shape[1:])
    return TwoFour(IntArray(values.reshape(half)), IntArray(chosen.reshape(half)))


def _groups(w: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(n / 4, 4, ...) of weights (n, ...)."""
    if not w.ndim or not len(w) or len(w) % 4:
        raise ValueError(f"the first axis of weights must be a multiple of 4, not shape {w.shape}")
    return w.reshape(len(w) // 4, 4, *w.shape[1:])


__all__ = ["TwoFour", "pack", "prune"]
