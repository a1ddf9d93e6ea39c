"""The updates once more, as plain NumPy integers over many affine systems at once: x <- M x + b.

Matrices (rows, n, n) and b (rows, n) hold integers at `frac` bits, states (rows, n) LSB of the state. The
tests tie this model to units by equality; the many systems of the termination tests run here.
"""

import numpy as np


def rounded(old, target, frac, mode, eps=0):
    """The new state for targets at `frac` bits below the LSB; eps in the same small units."""
    one = 1 << frac
    if mode == "RND":
        return (target + one // 2) >> frac
    if mode == "TRN":
        return target >> frac
    if mode == "CEIL":
        return -(-target >> frac)
    if mode == "RND_CONV":
        low = target >> frac
        rest = target - (low << frac)
        return low + ((2 * rest > one) | ((2 * rest == one) & (low % 2 == 1)))
    assert mode == "INC"
    r = target - (old << frac)
    return old + np.sign(r) * (np.maximum(np.abs(r) - eps, 0) >> frac)


def sweep(m, b, x, frac, mode, groups=None, eps=0, lo=None, hi=None, noise=None):
    """One sweep: all at once, or the groups of components one after another. noise(states) is added to
    the targets."""
    x = x.copy()
    for group in [slice(None)] if groups is None else [np.array(g) for g in groups]:
        target = np.matmul(m[:, group], x[:, :, None])[:, :, 0] + b[:, group]
        if noise is not None:
            target = target + noise(x)[:, group]
        new = rounded(x[:, group], target, frac, mode, eps)
        x[:, group] = new if lo is None else np.clip(new, lo, hi)
    return x


def run(m, b, x, frac, mode, cap, groups=None, eps=0, lo=None, hi=None, orders=None, noise=None):
    """(states, sweeps, whether a sweep changed nothing) after at most `cap` sweeps.

    orders  () -> groups, drawn anew for every sweep, for random orders
    """
    x = x.copy()
    steps, fixed = np.full(len(x), cap), np.zeros(len(x), bool)
    rows = np.arange(len(x))
    mm, bb, xx = m, b, x
    for k in range(1, cap + 1):
        new = sweep(mm, bb, xx, frac, mode, groups if orders is None else orders(), eps, lo, hi, noise)
        same = np.all(new == xx, axis=1)
        xx = new
        if np.any(same):
            x[rows[same]], steps[rows[same]], fixed[rows[same]] = new[same], k, True
            rows, mm, bb, xx = rows[~same], mm[~same], bb[~same], xx[~same]
        if not len(rows):
            break
    x[rows] = xx
    return x, steps, fixed


def periods(m, b, x, frac, mode, longest=64, groups=None):
    """Per row the period of the cycle that x lies on; 0 where none is that short."""
    found = np.zeros(len(x), np.int64)
    now = x
    for k in range(1, longest + 1):
        now = sweep(m, b, now, frac, mode, groups)
        found[(found == 0) & np.all(now == x, axis=1)] = k
    return found
