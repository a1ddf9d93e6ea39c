"""The loop nest of folded layers: order of the words, nothing freed too early, memory that suffices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rtl.stream.folded_nest import Nest, steps


def random_nest(rng: np.random.Generator) -> Nest:
    """A nest of random numbers that fit together."""
    while True:
        pairs = {
            name: tuple(int(v) for v in rng.integers(lo, hi, 2))
            for name, lo, hi in (
                ("kernel", 1, 5), ("stride", 1, 5), ("dilation", 1, 4), ("before", 0, 4), ("after", 0, 4),
            )
        }  # fmt: skip
        depthwise = bool(rng.integers(2))
        sizes = {k: int(rng.integers(1, 8)) for k in ("height", "width")}
        turns = {k: int(rng.integers(1, 4)) for k in ("words", "slices")}
        groups = 1 if depthwise else int(rng.integers(1, 4))
        try:
            return Nest(**sizes, **turns, **pairs, groups=groups, depthwise=depthwise)
        except ValueError as error:
            assert str(error).startswith(("kernel must fit", "kernel must meet"))


def taps(n: Nest) -> list[int]:
    """The word of every tick, -1 in the padding, by the plain loops."""
    (kh, kw), (oh, ow) = n.kernel, n.out
    patch = list(itertools.product(range(kh), range(kw)))
    words = list(itertools.product(range(n.words), range(n.slices)))
    if n.depthwise:
        inner = [(i, j, word) for word, _ in words for i, j in patch]
    else:
        inner = [(i, j, word) for _ in range(n.groups) for i, j in patch for word, _ in words]
    out = []
    for y, x, (i, j, word) in itertools.product(range(oh), range(ow), inner):
        row = y * n.stride[0] - n.before[0] + i * n.dilation[0]
        column = x * n.stride[1] - n.before[1] + j * n.dilation[1]
        inside = 0 <= row < n.height and 0 <= column < n.width
        out.append((row * n.width + column) * n.words + word if inside else -1)
    return out


@pytest.mark.parametrize("seed", range(8))
def test_random_nests(seed):
    rng = np.random.default_rng([5, seed])
    for _ in range(40):
        n = random_nest(rng)
        expected = np.array(taps(n))
        reads, frees = n.program()
        assert len(reads) == len(frees) == n.cycles
        assert reads[0] == max(expected[0], 0) and np.array_equal(reads[1:], expected[1:])
        # What is freed is not read again, and all is at the end.
        later = np.where(expected >= 0, expected, n.beats)
        later = np.minimum.accumulate(later[::-1])[::-1]
        assert (np.diff(frees) >= 0).all() and frees[0] >= 0 and frees[-1] == n.beats
        assert (frees[:-1] <= later[1:]).all()
        # The memory holds all words from the freed ones to the one that a tick waits for; no less would do.
        held = (reads + 1 - np.concatenate([[0], frees[:-1]]))[reads >= 0].max()
        assert n.least == max(held, n.unread, 2)
        assert n.unread == n.beats - 1 - expected.max() and n.padded == (expected < 0).any()


def test_first_taps_in_the_padding_free_up_to_their_row():
    n = Nest(4, 4, kernel=(3, 3), before=(1, 1), after=(1, 1))
    _, frees = n.program()
    assert frees.reshape(4, 4, 9)[:, :, -1].tolist() == [
        [0, 0, 0, 0], [0, 0, 1, 2], [4, 4, 5, 6], [8, 8, 9, 16],
    ]  # fmt: skip
    assert (n.least, n.room) == (11, 4)


def test_room_is_what_the_kernel_moves_by():
    assert Nest(6, 5, words=2, kernel=(3, 3), stride=(2, 1)).room == 20
    assert Nest(1, 9, words=2, kernel=(1, 3), stride=(1, 2)).room == 4
    assert Nest(2, 9, kernel=(2, 3)).room == 18  # the next frame: its second row is needed at once
    assert Nest(3, 3, words=2, kernel=(3, 3)).room == 18


def test_steps_of_the_loops():
    n = Nest(5, 4, words=2, slices=3, kernel=(2, 2), before=(1, 0), groups=2)
    loops = [*n.inner, *n.positions]
    assert [loop.name for loop in loops] == ["slice", "word", "j", "i", "group", "ow", "oh"]
    # None in a word; the next word; the next column, row; back for the next group; positions; frame.
    assert steps(loops, "word", n.beats) == [0, 1, 1, 5, -11, -9, -7, 40 - 11 - 4 - 8 * 4]
