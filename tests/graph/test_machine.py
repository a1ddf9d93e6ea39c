"""Machines: state over time, independent streams, and the errors of a state that does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from fxsim import SQ, UQ, Machine, TensorType, trace
from fxsim.integers import IntArray

STATE = SQ(8, 0, overflow="SAT")


def accumulator() -> Machine:
    """Saturating running sum of two channels; the output is the sum before the step."""
    step = trace(lambda s, x: ((s + x).cast(STATE), s + 0), STATE, SQ(4, 0), shape=(2,))
    return Machine((IntArray([0, 100]),), step)


def test_running_sum_saturates_per_stream() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-8, 8, (5, 40, 2))
    (y,), (last,) = accumulator().run_raw(x)
    state = np.broadcast_to([0, 100], (5, 2))
    for t in range(40):
        np.testing.assert_array_equal(y[:, t], state)
        state = np.clip(state + x[:, t], -128, 127)
    np.testing.assert_array_equal(last, state)


def test_no_time_gives_the_initial_state() -> None:
    (y,), (last,) = accumulator().run_raw(np.zeros((3, 0, 2), int))
    assert y.shape == (3, 0, 2)
    np.testing.assert_array_equal(last, [[0, 100]] * 3)


def test_free_run_is_a_counter() -> None:
    step = trace(lambda s: ((s + 1).cast(UQ(3, 0)), s + 0), UQ(3, 0))
    machine = Machine((IntArray(5),), step)
    (y,), (last,) = machine.free_run(2, 6)
    np.testing.assert_array_equal(y, [[5, 6, 7, 0, 1, 2]] * 2)
    np.testing.assert_array_equal(last, [3, 3])
    with pytest.raises(TypeError, match="free_run"):
        machine.run_raw()


def test_a_machine_is_immutable_and_hashable() -> None:
    assert accumulator() == accumulator() and hash(accumulator()) == hash(accumulator())
    with pytest.raises(AttributeError):
        accumulator().init = ()  # type: ignore[misc]


def test_a_step_that_leaves_the_state_is_refused() -> None:
    step = trace(lambda s, x: s + x, STATE, SQ(4, 0))
    with pytest.raises(ValueError, match="does not cover"):
        Machine((IntArray(0),), step)


def test_a_state_of_another_frac_is_refused() -> None:
    with pytest.raises(ValueError, match="does not cover"):
        Machine((IntArray(0),), trace(lambda s: s << 1, SQ(2, 2)))


def test_a_coarser_state_is_covered_and_a_finer_one_not() -> None:
    even = TensorType((), 0, np.array(-4), np.array(2), 1)
    Machine((IntArray(2),), trace(lambda s: -s - 2, even))
    with pytest.raises(ValueError, match="does not cover"):
        Machine((IntArray(2),), trace(lambda s: (s + 1).cast(SQ(2, 0)), even))


@pytest.mark.parametrize(
    ("init", "text"),
    [
        ((), "at least 1"),
        ((IntArray([0, 0]),) * 3, "at most"),
        ((IntArray([0, 0, 0]),), "shape"),
        ((IntArray(128),), "must lie in its type"),
    ],
)
def test_a_bad_initial_state_is_named(init: tuple[IntArray, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Machine(init, accumulator().step)


def test_bad_inputs_are_named() -> None:
    machine = accumulator()
    with pytest.raises(TypeError, match="1 inputs, not 2"):
        machine.run_raw(np.zeros((1, 1, 2), int), np.zeros((1, 1, 2), int))
    with pytest.raises(ValueError, match="'x' must have shape"):
        machine.run_raw(np.zeros((1, 2), int))
    with pytest.raises(ValueError, match=r"'x' must lie in raw -8\.\.7"):
        machine.run_raw(np.full((1, 1, 2), 8))
    with pytest.raises(TypeError, match="use run_raw"):
        machine.free_run(1, 1)
