"""Mean field of one-hot groups: q <- softmax_group(Phi q + b), as it is or by a proximal step."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import data
from fxsim.constants import to_raw
from fxsim.formats import SQ, UQ, Format, Overflow
from fxsim.integers import Array, exact
from fxsim.iterate.example import Exact, Example
from fxsim.iterate.prox import proximal
from fxsim.iterate.softmax import evaluation_error, softmax_exact, softmax_of
from fxsim.iterate.stops import cycle, unchanged
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import damped, increment_trunc
from fxsim.layers.references import exp
from fxsim.trace import Tensor, select

__all__ = ["mean_field", "monotone_dbm"]

SCORE_BITS = 8  # of the default parameter


def mean_field(
    Phi: Any, classes: int, *, shared: bool = False, b: Format | None = None, frac: int = 10,
    mask: bool = False, exp_frac: int | None = None, **options: Any,
) -> Unit:  # fmt: skip
    """The unit q_g <- softmax(sum_h Phi_gh q_h + b_g) over G groups of `classes` states each; q (G, classes).

    Phi      (G classes, G classes), dyadic: a coupling of states, as a deep Boltzmann machine's
    shared   Phi is (G, G), one coupling for every class: transductive clustering (LaplacianShot)
    b        format of the parameter (G, classes), SQ(4, 8) by default
    mask     two more parameters: `observed` (G,), a bit each, and `evidence` (G, classes) at `frac`: an
             observed group is its evidence
    frac     of q in 0..1; the exponents are rounded at as many bits
    options  as of `unit`; by default damped(1), increments truncated and shrunk by the map's proven error

    A softmax is 1/2-Lipschitz in the maximum norm: with max_i sum_j |Phi_ij| < 2 the unit is certified (T4'),
    damped or not. Beyond that there may be several fixed points and, undamped, cycles; give it a stop
    (unchanged(), cycle()). Lost: what the softmax loses and increments below its error.
    Source: the clustering is Ziko et al., arXiv 2006.15486.
    """
    coupling, groups = _coupling(Phi, classes, shared)
    b = SQ(4, SCORE_BITS) if b is None else b
    out = Format(frac + 1, 1, False)

    def field(q: Tensor, b: Tensor) -> Tensor:
        return softmax_of(_times(coupling, q) + b, out, frac, "e", exp_frac)

    step, parameters = _observing(field, groups, classes, b, frac, mask)
    state = {"q": (out.replace(overflow=Overflow.SAT), (groups, classes))}
    common = {"start": (1 << frac) // classes, "name": "mean_field", **options}
    if "update" not in common:
        error = evaluation_error(unit(step, state, parameters, **common))
        common["update"] = damped(1, increment_trunc(error / 2))
    return unit(step, state, parameters, **common)


def monotone_dbm(
    Phi: Any, classes: int, *, shared: bool = False, alpha: int = 3, b: Format | None = None,
    frac: int = 8, mask: bool = False, **options: Any,
) -> Unit:  # fmt: skip
    """The unit q <- prox((1 - a) q + a (Phi q + b)), a = 2**-alpha, of the monotone deep Boltzmann machine.

    Its fixed points are those of `mean_field`. It converges for Phi <= (1 - m) I, m > 0, and, Phi being
    symmetric, a < 2 / |I - Phi|_2, however large the coupling is; that norm is no maximum norm, and roundings
    may leave a small cycle: the default stop looks for one. See `fxsim.iterate.prox` for the step.

    Phi, classes, shared, b, mask as of `mean_field`. ValueError unless Phi is symmetric and I - Phi
    positive definite.
    Source: Feng et al., arXiv 2307.04990.
    """
    from fxsim.iterate.norms import positive_definite

    coupling, groups = _coupling(Phi, classes, shared)
    raw, bits = to_raw(coupling)
    if np.any(raw != raw.T) or not positive_definite(
        exact(np.eye(len(raw), dtype=np.int64) * (1 << bits) - raw)
    ):
        raise ValueError(
            "Phi must be symmetric with I - Phi positive definite, or the step need not converge"
        )
    if isinstance(alpha, bool) or not isinstance(alpha, (int, np.integer)) or not 1 <= alpha <= 8:
        raise ValueError(f"alpha must be an integer in 1..8, the step being 2**-alpha, not {alpha!r}")
    b = SQ(4, SCORE_BITS) if b is None else b

    def field(q: Tensor, b: Tensor) -> Tensor:
        return proximal(q + ((_times(coupling, q) + b - q) >> int(alpha)), int(alpha), frac)

    step, parameters = _observing(field, groups, classes, b, frac, mask)
    state = {"q": (Format(frac + 1, 1, False, overflow=Overflow.SAT), (groups, classes))}
    common = {"start": (1 << frac) // classes, "name": "monotone_dbm", "stop": (unchanged(), cycle())}
    return unit(step, state, parameters, **{**common, **options})


def boltzmann(A: Any, classes: int, *, bound: Any = Fraction(7, 8), frac: int = 8) -> Array:
    """Phi = blkdiag(A^T A) - A^T A, scaled so that max_i sum_j |Phi_ij| <= 2 * bound, at `frac` bits.

    A (r, G classes) real. A^T A is positive and its diagonal blocks vanish: no group couples with itself.
    Scaled down to bound = 1/2 it is a monotone machine too, as then Phi <= I.
    """
    A = np.asarray(A, float)
    groups = A.shape[1] // classes
    gram = A.T @ A
    Phi = np.where(np.kron(np.eye(groups), np.ones((classes, classes))) > 0, 0.0, -gram)
    scale = float(2 * bound) / np.abs(Phi).sum(1).max()
    # Toward zero, so that the row sums keep their bound.
    found: Array = np.trunc(Phi * scale * 2.0**frac) / 2.0**frac
    return found


def reference(Phi: Any, classes: int, b: Any, shared: bool = False) -> Exact:
    """The fixed point for real dyadic b (rows, G, classes), right to 2**-80, as Fractions.

    The map is iterated at 128 bits until the proven distance L |change| / (1 - L) + 2**-100 / (1 - L) is so
    small. ValueError unless L = max_i sum_j |Phi_ij| / 2 < 1.
    """
    coupling, groups = _coupling(Phi, classes, shared)
    full = np.kron(coupling, np.eye(classes)) if shared else coupling
    rows, bits = to_raw(full)
    L = Fraction(int(np.abs(rows).sum(1).max()), 1 << bits) / 2
    if L >= 1:
        raise ValueError(f"Phi must have row sums of magnitudes below 2 for a proven reference, not {2 * L}")
    goal = (Fraction(1, 1 << 80) - Fraction(1, 1 << 100) / (1 - L)) * (1 - L)
    weights = rows.astype(object)
    found = []
    for row in np.asarray(b).reshape(-1, groups * classes):
        bias = np.array([Fraction(float(v)) for v in row], object)
        q = np.full(groups * classes, Fraction(1, classes), object)
        while True:
            scores = (weights @ q) / (1 << bits) + bias
            new = []
            for g in range(groups):
                new += softmax_exact(list(scores[g * classes : (g + 1) * classes]), exp)
            after = np.array([Fraction(round(v * (1 << 128)), 1 << 128) for v in new], object)
            change, q = max(abs(after - q)), after
            if L * change <= goal:
                break
        found.append(q.reshape(groups, classes))
    return np.array(found, object)


def example() -> Example:
    """Images of three digits take the classes of their prototypes and of their neighbours."""
    W, b, _ = digit_clusters(8)
    made = mean_field(W, 3, shared=True, frac=8)
    return Example(
        made, {"b": b}, None, lambda: reference(W, 3, b / (1 << SCORE_BITS), True),
        "8 episodes of 10 shipped digit images of three classes with a prototype each, and their neighbours.",
    )  # fmt: skip


def digit_clusters(episodes: int, points: int = 10, seed: int = 1) -> tuple[Array, Array, Array]:
    """(W, b, classes): the neighbour weights of one set of images, per episode raw b of its three prototypes,
    and the classes that the images have.

    W = 0.7 / 3 to each of an image's three nearest, made symmetric by the mean; b = -|x - m|^2 / 8.
    """
    images, labels = data.digits_samples()
    rng = np.random.default_rng(seed)
    chosen = np.flatnonzero(np.isin(labels, (0, 1, 4)))
    pixels = images.reshape(-1, 64).astype(float)
    queries = rng.permutation(chosen)[:points]
    x = pixels[queries]
    far = ((x[:, None] - x[None]) ** 2).sum(-1) + np.diag(np.full(points, np.inf))
    near = np.zeros((points, points))
    near[np.arange(points)[:, None], np.argsort(far, axis=1, kind="stable")[:, :3]] = 1
    W = np.trunc(0.7 / 3 * (near + near.T) / 2 * 256) / 256
    b = np.empty((episodes, points, 3), np.int64)
    for e in range(episodes):
        prototypes = [
            pixels[rng.choice(np.setdiff1d(np.flatnonzero(labels == d), queries))] for d in (0, 1, 4)
        ]
        distance = ((x[:, None] - np.array(prototypes)[None]) ** 2).sum(-1)
        score = -(distance - distance.min(1, keepdims=True)) / 8
        b[e] = np.maximum(np.rint(score * (1 << SCORE_BITS)), -8 << SCORE_BITS).astype(np.int64)
    return W, b, np.searchsorted((0, 1, 4), labels[queries])


def _coupling(Phi: Any, classes: int, shared: bool) -> tuple[Array, int]:
    if isinstance(classes, bool) or not isinstance(classes, (int, np.integer)) or classes < 2:
        raise ValueError(f"classes must be an integer of at least 2, not {classes!r}")
    raw = to_raw(Phi, "Phi")[0]
    if raw.ndim != 2 or raw.shape[0] != raw.shape[1] or not raw.size:
        raise ValueError(f"Phi must be a square matrix, not of shape {np.shape(Phi)}")
    if not shared and len(raw) % classes:
        raise ValueError(
            f"Phi must have {classes} rows per group, not {len(raw)} in all; or give shared=True"
        )
    return np.asarray(Phi), len(raw) if shared else len(raw) // int(classes)


def _times(coupling: Array, q: Tensor) -> Tensor:
    size, (groups, classes) = len(coupling), q.shape
    found: Tensor = coupling @ (q if size == groups else q.reshape(-1))
    return found if size == groups else found.reshape(groups, classes)


def _observing(field: Any, groups: int, classes: int, b: Format, frac: int, mask: bool) -> Any:
    """(step, parameters): with a mask an observed group is its evidence, for the others too."""
    parameters = {"b": (b, (groups, classes))}
    if not mask:
        return field, parameters

    def step(q: Tensor, b: Tensor, observed: Tensor, evidence: Tensor) -> Tensor:
        seen = observed.reshape(-1, 1)
        return select(seen, evidence, field(select(seen, evidence, q), b))

    return step, {
        **parameters,
        "observed": (UQ(1, 0), (groups,)),
        "evidence": (Format(frac + 1, 1, False), (groups, classes)),
    }
