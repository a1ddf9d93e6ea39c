"""MUVERA: sets of token vectors as one vector each, by ternary SimHash, one token per step of a machine."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from fxsim.formats import SQ, UQ, Format, Overflow
from fxsim.integers import Array, IntArray, exact
from fxsim.layers.lfsr import Lfsr
from fxsim.machine import Machine
from fxsim.ops import Div, Shift
from fxsim.trace import Tensor, concat, select, trace

TERNARY = (0, 0, 1, -1)
"""What two bits of a register mean: a zero in half of the cases."""


def ternary_planes(shape: tuple[int, ...], lfsr: Lfsr | None = None) -> Array:
    """Entries of `TERNARY` by draws of two bits, row by row; a row of zeros is drawn again."""
    register = lfsr or Lfsr()
    state, rows = register.seed, np.zeros((prod(shape[:-1]), shape[-1]), np.int64)
    for k in range(len(rows)):
        while not rows[k].any():
            drawn, state = register.draws(shape[-1], 2, state=state)
            rows[k] = np.array(TERNARY)[drawn]
    return exact(rows.reshape(shape))


@dataclass(frozen=True)
class Muvera:
    """Fixed-dimensional encodings (Dhulipala et al., arXiv 2405.19504) of token vectors in `format`.

    In each of R repetitions, k hyperplanes g with entries in {-1, 0, 1} (in the paper normal ones) put a
    token x into the cluster sum_i 2**i [<g_i, x> > 0] of B = 2**k, and P projects it: P x with entries in
    {-1, 0, 1}, or x itself. The encoding has shape (R, B, p). Of a query, a cluster is the sum of its tokens;
    of a document it is their mean, or for an empty cluster the token with the least Hamming distance between
    its signs and the cluster's number, the first of several. The inner product of both encodings, over R and
    times the squared scale of P, estimates sum_q max_d <q, d>.

    format      of a token's elements
    planes      (R, k, d)
    projection  (R, p, d), or None for p = d and P = 1
    tokens      most tokens of a set: sums are wide enough for so many, and saturate beyond

    Choices: the cluster's number is plain binary (the authors' code has a Gray code: a renaming, the same for
    queries and documents); sums, not means, wait in the state; a mean is the quotient toward zero with
    `Muvera.mean_bits` fraction bits below those of the projected tokens. The scale of P, the final
    projection and 1 / R are not in the hardware.

    Raises ValueError that names what is wrong with planes, projection or tokens.
    """

    format: Format
    planes: IntArray
    projection: IntArray | None = None
    tokens: int = 64
    mean_bits: int = 4

    def __post_init__(self) -> None:
        for name in ("planes", "projection"):
            given = getattr(self, name)
            if given is None:
                continue
            a = IntArray(given)
            object.__setattr__(self, name, a)
            if len(a.shape) != 3 or not prod(a.shape):
                raise ValueError(f"{name} must have three axes and at least one entry, not shape {a.shape}")
            if np.any(np.abs(a.array) > 1):
                raise ValueError(
                    f"{name} must have entries in -1, 0, 1, not {a.array[np.abs(a.array) > 1][0]}"
                )
            if not np.all(a.array.any(-1)):
                at = tuple(int(i) for i in np.argwhere(~a.array.any(-1))[0])
                raise ValueError(
                    f"{name} must have an entry that is not 0 in every row, not only zeros at {at}"
                )
        p, q = self.planes.shape, self.planes.shape if self.projection is None else self.projection.shape
        if (p[0], p[2]) != (q[0], q[2]):
            raise ValueError(
                f"projection must have the {p[0]} repetitions and {p[2]} elements of planes, not shape {q}"
            )
        if p[1] > 8:
            raise ValueError(f"planes must be at most 8 a repetition (256 clusters), not {p[1]}")
        for name in ("tokens", "mean_bits"):
            value = getattr(self, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, (int, np.integer))
                or value < (name == "tokens")
            ):
                raise ValueError(f"{name} must be a positive integer, not {value!r}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(repetitions, clusters, projected elements) of an encoding."""
        r, k, d = self.planes.shape
        return r, 1 << k, d if self.projection is None else self.projection.shape[1]

    # ---- one token ------------------------------------------------------------------------------------

    def signs(self, token: Tensor) -> Tensor:
        """(R, k) bits: on which side of each hyperplane the token is; 0 on it."""
        sides: Tensor = self.planes.array @ token > 0
        return sides

    def clusters(self, token: Tensor) -> Tensor:
        """(R,) numbers of the token's clusters."""
        return (self.signs(token) * (1 << np.arange(self.planes.shape[1]))).sum(-1)

    def projected(self, token: Tensor) -> Tensor:
        """(R, 1, p): the token as it is added to a cluster."""
        r, _, p = self.shape
        if self.projection is not None:
            out: Tensor = self.projection.array @ token
            return out.reshape(r, 1, p)
        return concat([token.reshape(1, 1, p)] * r)

    # ---- machines -------------------------------------------------------------------------------------

    def query(self) -> Machine:
        """Reads a token per step; gives the encoding of the tokens so far, their sums by cluster."""
        total = self._sum_format()

        def step(sums: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
            with token.builder.block("muvera_query", "muvera_query", [sums, token]) as outputs:
                sums = (sums + select(self._hits(token), self.projected(token), 0)).cast(total)
                outputs.append(sums)
            return sums, sums

        graph = trace(step, total, self.format, shape=[self.shape, (self._size,)], name="muvera_query")
        return Machine((_zeros(self.shape),), graph)

    def document(self) -> Machine:
        """Reads a token per step; gives the encoding of the tokens so far, their means by cluster.

        States: sums, sizes and, for clusters that stay empty, the nearest token and its distance.
        """
        r, b, _ = self.shape
        k = self.planes.shape[1]
        total, one = self._sum_format(), self._projected_format()
        size, far = UQ(int(self.tokens).bit_length(), 0, overflow=Overflow.SAT), UQ((k + 1).bit_length(), 0)
        numbers = np.arange(b)[:, None] >> np.arange(k) & 1

        def step(
            sums: Tensor, sizes: Tensor, nearest: Tensor, distance: Tensor, token: Tensor
        ) -> tuple[Tensor, ...]:
            read = [sums, sizes, nearest, distance, token]
            with token.builder.block("muvera_document", "muvera_document", read) as outputs:
                projected, hits = self.projected(token), self._hits(token)
                sums = (sums + select(hits, projected, 0)).cast(total)
                sizes = (sizes + hits).cast(size)
                away = (self.signs(token).reshape(r, 1, k) ^ numbers).sum(-1).reshape(r, b, 1)
                nearer = away < distance
                nearest = select(nearer, projected, nearest).cast(one)
                distance = select(nearer, away, distance).cast(far)
                finer = token.builder.apply(Shift(self.mean_bits), sums)
                mean = token.builder.apply(Div(), finer, sizes)
                encoding = select(sizes == 0, nearest, mean)
                outputs += [sums, sizes, nearest, distance, encoding]
            return sums, sizes, nearest, distance, encoding

        shapes = [self.shape, (r, b, 1), self.shape, (r, b, 1), (self._size,)]
        graph = trace(step, total, size, one, far, self.format, shape=shapes, name="muvera_document")
        start = IntArray(np.full((r, b, 1), k + 1))
        return Machine((_zeros(self.shape), _zeros((r, b, 1)), _zeros(self.shape), start), graph)

    @property
    def _size(self) -> int:
        return self.planes.shape[2]

    def _hits(self, token: Tensor) -> Tensor:
        """(R, B, 1): 1 at the token's cluster."""
        r, b, _ = self.shape
        return self.clusters(token).reshape(r, 1, 1) == np.arange(b)[:, None]

    def _projected_format(self) -> Format:
        f = self.format
        terms = 1 if self.projection is None else int(np.abs(self.projection.array).sum(-1).max())
        return SQ(f.int_bits + (not f.signed) + max(terms - 1, 0).bit_length() + (terms > 1), f.frac)

    def _sum_format(self) -> Format:
        one = self._projected_format()
        return SQ(one.int_bits + int(self.tokens).bit_length(), one.frac, overflow=Overflow.SAT)


def score(query: Tensor, document: Tensor) -> Tensor:
    """Inner product of two encodings, exact."""
    return (query * document).sum()


def _zeros(shape: tuple[int, ...]) -> IntArray:
    return IntArray(np.zeros(shape, np.int64))
