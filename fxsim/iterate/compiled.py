"""The instructions of `fxsim.iterate.single`, compiled once for all graphs and kept in Numba's cache."""

from __future__ import annotations

import numpy as np
from numba import njit

# Here and not with those that write them: Numba's cache looks at this file only.
COLUMNS = 8  # of an instruction: code, out, a, b, c, n, p, q
(
    ADD, SUB, NEG, SHL, MUL, MIN, MAX, LT, LE, EQ, NE, SELECT, AND, OR, XOR, NOT, GATHER, MATMUL, SUM, LEAST,
    GREATEST, FIRST, TABLE, COUNT, CAST, SHIFT_LEFT, BITS, DIVIDE,
) = range(28)  # fmt: skip


@njit(cache=True)
def _round(v, shift, mode):
    """v * 2**-shift rounded, in the order of `fxsim.Rounding`."""
    if shift <= 0:
        return v << -shift
    if shift > 62:  # the value is below half an LSB; half of one it is at -2**62 and shift 63 at most
        shift, v = 62, (v > 0) - (v < 0)
    low = v >> shift
    rest = v - (low << shift)
    half = np.int64(1) << (shift - 1)
    if mode == 0:  # TRN
        return low
    if mode == 1:  # TRN_ZERO
        return low + (rest != 0 and v < 0)
    if rest != half:
        return low + (rest > half)
    if mode == 2:  # RND: ties up
        return low + 1
    if mode == 3:  # RND_MIN_INF
        return low
    if mode == 4:  # RND_ZERO
        return low + (v < 0)
    if mode == 5:  # RND_INF
        return low + (v >= 0)
    if mode == 6:  # RND_CONV: ties to even
        return low + (low & 1)
    return low + 1 - (low & 1)


@njit(cache=True)
def _fit(q, width, signed, kind):
    """q within `width` bits: 0 wraps, 1 saturates, 2 saturates symmetrically."""
    if width == 0:
        return np.int64(0)
    whole = np.int64(1) << width
    sign = whole >> 1 if signed else np.int64(0)
    hi = whole - 1 - sign
    least = -sign
    if kind == 0:
        return ((q + sign) & (whole - 1)) - sign
    if kind == 2 and signed and width > 1:
        least = -hi
    return min(max(q, least), hi)


@njit(cache=True)
def execute(rows, data, m):
    """Every instruction once, in order."""
    for r in range(rows.shape[0]):
        code, out, a, b, c, n, p, q = rows[r]
        if code == ADD:
            for i in range(n):
                m[out + i] = m[a + i] + m[b + i]
        elif code == SUB:
            for i in range(n):
                m[out + i] = m[a + i] - m[b + i]
        elif code == NEG:
            for i in range(n):
                m[out + i] = -m[a + i]
        elif code == SHL:
            for i in range(n):
                m[out + i] = m[a + i] << p if p >= 0 else m[a + i] >> -p
        elif code == MUL:
            for i in range(n):
                m[out + i] = m[a + i] * m[b + i]
        elif code == MIN:
            for i in range(n):
                m[out + i] = min(m[a + i], m[b + i])
        elif code == MAX:
            for i in range(n):
                m[out + i] = max(m[a + i], m[b + i])
        elif code == LT:
            for i in range(n):
                m[out + i] = m[a + i] < m[b + i]
        elif code == LE:
            for i in range(n):
                m[out + i] = m[a + i] <= m[b + i]
        elif code == EQ:
            for i in range(n):
                m[out + i] = m[a + i] == m[b + i]
        elif code == NE:
            for i in range(n):
                m[out + i] = m[a + i] != m[b + i]
        elif code == SELECT:
            for i in range(n):
                m[out + i] = m[b + i] if m[a + i] != 0 else m[c + i]
        elif code == AND:
            for i in range(n):
                m[out + i] = m[a + i] & m[b + i]
        elif code == OR:
            for i in range(n):
                m[out + i] = m[a + i] | m[b + i]
        elif code == XOR:
            for i in range(n):
                m[out + i] = m[a + i] ^ m[b + i]
        elif code == NOT:
            for i in range(n):
                m[out + i] = ~m[a + i]
        elif code == GATHER:
            for i in range(n):
                k = data[p + i]
                m[out + i] = m[a + k] if k >= 0 else q
        elif code == MATMUL:
            for i in range(n):
                for j in range(p):
                    total = np.int64(0)
                    for k in range(q):
                        total += m[a + i * q + k] * m[b + j * q + k]
                    m[out + i * p + j] = total
        elif code == SUM:
            for i in range(n):
                total = np.int64(0)
                for k in range(p):
                    total += m[a + i * p + k]
                m[out + i] = total
        elif code == LEAST:
            for i in range(n):
                best = m[a + i * p]
                for k in range(1, p):
                    best = min(best, m[a + i * p + k])
                m[out + i] = best
        elif code == GREATEST:
            for i in range(n):
                best = m[a + i * p]
                for k in range(1, p):
                    best = max(best, m[a + i * p + k])
                m[out + i] = best
        elif code == FIRST:
            for i in range(n):
                place = 0
                for k in range(1, p):
                    if m[a + i * p + k] > m[a + i * p + place]:
                        place = k
                m[out + i] = place
        elif code == TABLE:
            for i in range(n):
                m[out + i] = data[data[p + i] + m[a + i]]
        elif code == COUNT:
            for i in range(n):
                first, falling = data[p + 2 * i], data[p + 2 * i + 1]
                total = np.int64(0)
                for k in range(q):
                    level = data[first + k]
                    total += m[a + i] <= level if falling else m[a + i] >= level
                m[out + i] = total
        elif code == CAST:
            for i in range(n):
                at = p + 4 * i
                found = _fit(_round(m[a + i], data[at], b), data[at + 1], data[at + 2], c)
                m[out + i] = found << data[at + 3]
        elif code == SHIFT_LEFT:
            for i in range(n):
                m[out + i] = m[a + i] << m[b + i]
        elif code == BITS:
            for i in range(n):
                value, count = m[a + i], 0
                while value > 0:
                    value >>= 1
                    count += 1
                m[out + i] = count
        elif code == DIVIDE:
            for i in range(n):
                x, y = m[a + i], m[b + i]
                size = abs(x) // abs(y) if y != 0 else 0
                m[out + i] = size if (x < 0) == (y < 0) else -size


@njit(cache=True)
def run(rows, data, m, moves, status, most):
    """At most so many sweeps, every new state becoming the old one; whether the status is still 0."""
    for _ in range(most):
        execute(rows, data, m)
        if m[status] != 0:
            return False
        for k in range(moves.shape[0]):
            to, source, size = moves[k]
            for i in range(size):
                m[to + i] = m[source + i]
    return True
