"""Fixed-dimensional encodings: a worked set of tokens, random sets by Fractions, scores, and errors."""

from __future__ import annotations

import numpy as np
import pytest

import fxsim
from fxsim import SQ, UQ
from fxsim.layers.lfsr import Lfsr
from fxsim.layers.muvera import Muvera, score, ternary_planes

WORKED = Muvera(SQ(5, 0), [[[1, -1], [0, 1]]], tokens=4, mean_bits=1)
TOKENS = np.array([[3, 1], [2, -4], [5, -2], [1, 6]])


def cluster(planes, token):
    return sum(int(np.dot(g, token) > 0) << i for i, g in enumerate(planes))


def projected(encoding, r, token):
    return token if encoding.projection is None else encoding.projection.array[r] @ token


def reference(encoding, tokens, document):
    """The encoding of all tokens, with raw means at mean_bits more fraction bits, by the definition."""
    repetitions, clusters, size = encoding.shape
    out = np.zeros(encoding.shape, np.int64)
    for r in range(repetitions):
        planes = encoding.planes.array[r]
        numbers = [cluster(planes, t) for t in tokens]
        points = [projected(encoding, r, t) for t in tokens]
        for c in range(clusters):
            members = [p for p, n in zip(points, numbers, strict=True) if n == c]
            total = np.sum(members, axis=0) if members else np.zeros(size, np.int64)
            if not document:
                out[r, c] = total
            elif members:
                out[r, c] = [
                    int(abs(v) * 2**encoding.mean_bits // len(members)) * (-1 if v < 0 else 1)
                    for v in total.tolist()
                ]
            else:
                distances = [(n ^ c).bit_count() for n in numbers]
                out[r, c] = points[distances.index(min(distances))] * 2**encoding.mean_bits
    return out


def test_worked_clusters():
    """Planes (1, -1) and (0, 1): (3, 1) is in 3, (2, -4) and (5, -2) in 1, (1, 6) in 2, none in 0."""
    (query,), _ = WORKED.query().run_raw(TOKENS[None])
    assert query[0, -1, 0].tolist() == [[0, 0], [7, -6], [1, 6], [3, 1]]
    (document,), _ = WORKED.document().run_raw(TOKENS[None])
    # Half LSBs. Cluster 0 is one bit away from 1 and 2: the first such token, (2, -4), fills it.
    assert document[0, -1, 0].tolist() == [[4, -8], [7, -6], [2, 12], [6, 2]]
    assert document[0, 0, 0].tolist() == [[6, 2]] * 4
    pair = fxsim.trace(score, SQ(8, 0), SQ(8, 1), shape=WORKED.shape)
    want = 7 * 7 + 6 * 6 + 1 * 2 + 6 * 12 + 3 * 6 + 1 * 2
    assert pair.run_raw(query[0, -1], document[0, -1]) == want


@pytest.mark.parametrize("inner", [None, 2, 4])
def test_random_sets(inner, rng):
    projection = None if inner is None else ternary_planes((3, inner, 5), Lfsr(seed=0xBEEF))
    encoding = Muvera(SQ(2, 3), ternary_planes((3, 3, 5)), projection, tokens=12, mean_bits=3)
    tokens = rng.integers(-16, 16, (6, 12, 5))
    tokens[0] = 0  # on every plane, so in cluster 0
    for document, machine in ((False, encoding.query()), (True, encoding.document())):
        (got,), _ = machine.run_raw(tokens)
        assert got.shape[2:] == encoding.shape
        for k, t in ((0, 11), (1, 0), (1, 11), (2, 4), (3, 11), (5, 7)):
            np.testing.assert_array_equal(got[k, t], reference(encoding, tokens[k, : t + 1], document))


def test_unsigned_tokens(rng):
    encoding = Muvera(
        UQ(4, 0), ternary_planes((2, 2, 3)), ternary_planes((2, 2, 3), Lfsr(seed=0xBEEF)), tokens=9
    )
    tokens = rng.integers(0, 16, (1, 9, 3))
    tokens[0, 4:] = 15
    for document, machine in ((False, encoding.query()), (True, encoding.document())):
        (got,), _ = machine.run_raw(tokens)
        np.testing.assert_array_equal(got[0, -1], reference(encoding, tokens[0], document))


def test_sums_are_wide_enough_for_the_tokens_and_saturate_beyond():
    encoding = Muvera(SQ(3, 0), [[[1, 0]]], tokens=5)
    worst = np.full((1, 40, 2), -4)
    (sums,), _ = encoding.query().run_raw(worst)
    assert sums[0, 4, 0, 0].tolist() == [-20, -20] and sums[0, -1, 0, 0].tolist() == [-32, -32]
    (means,), (_, sizes, *_) = encoding.document().run_raw(worst)
    assert means[0, 4, 0, 0].tolist() == [-64, -64] and sizes.ravel().tolist() == [7, 0]


def test_ternary_entries_have_no_empty_row_and_halve_to_zero():
    planes = ternary_planes((50, 4, 64))
    assert planes.any(-1).all() and abs((planes == 0).mean() - 0.5) < 0.01
    assert abs(planes.mean()) < 0.01
    assert ternary_planes((1, 1, 2), Lfsr(seed=4)).any()  # two draws of zeros first


def test_a_set_scores_best_against_itself():
    """What the encoding is for: of 12 documents, each as a query finds itself."""
    rng = np.random.default_rng(2)
    tokens = rng.integers(-16, 16, (12, 8, 6))
    encoding = Muvera(SQ(2, 3), ternary_planes((8, 2, 6)), tokens=8)
    (q,), _ = encoding.query().run_raw(tokens)
    (d,), _ = encoding.document().run_raw(tokens)
    scores = q[:, -1].reshape(12, -1) @ d[:, -1].reshape(12, -1).T
    assert scores.argmax(1).tolist() == list(range(12))


def test_bad_parameters_are_named():
    with pytest.raises(ValueError, match=r"planes must have three axes .* not shape \(2, 2\)"):
        Muvera(SQ(3, 0), [[1, 0], [0, 1]])
    with pytest.raises(ValueError, match="planes must have entries in -1, 0, 1, not 2"):
        Muvera(SQ(3, 0), [[[2, 0]]])
    with pytest.raises(ValueError, match=r"planes must have an entry that is not 0 .* zeros at \(0, 1\)"):
        Muvera(SQ(3, 0), [[[1, 0], [0, 0]]])
    with pytest.raises(ValueError, match="projection must have the 1 repetitions and 2 elements of planes"):
        Muvera(SQ(3, 0), [[[1, 0]]], [[[1, 0, 1]]])
    with pytest.raises(ValueError, match="planes must be at most 8 a repetition"):
        Muvera(SQ(3, 0), np.ones((1, 9, 2), int))
    with pytest.raises(ValueError, match="tokens must be a positive integer, not 0"):
        Muvera(SQ(3, 0), [[[1, 0]]], tokens=0)
