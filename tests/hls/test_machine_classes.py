"""Machines as C++ classes: streams, final states, the function with its machine in static memory, names."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

import fxsim
import hls
from fxsim import SQ, UQ, Machine
from fxsim.boundary import FormatEncoder
from fxsim.trace import Builder
from fxsim.types import TensorType
from hls.compile import shared_library

WIDE = SQ(70, 0)


def accumulator() -> Machine:
    """Sums of two channels, one of them beyond 64 bits; names that C++ or the test's own code might use."""

    def step(total, machine, batch, restart):
        return (total + batch).cast(SQ(8, 0, overflow="SAT")), (machine * 3 - 1).cast(WIDE), total, machine

    types = SQ(8, 0, overflow="SAT"), WIDE, SQ(4, 0), UQ(1, 0)
    return Machine(([-3, 100], 1 << 66), fxsim.trace(step, *types, shape=[(2,), (), (2,), ()]))


def counter() -> Machine:
    return Machine((5,), fxsim.trace(lambda s: ((s + 1).cast(UQ(3, 0)), s), UQ(3, 0)))


@pytest.fixture(scope="module")
def compiled():
    return hls.compile_machines([accumulator(), counter()])


def test_streams_and_final_states(compiled, rng):
    x = rng.integers(-8, 8, (4, 50, 2)), rng.integers(0, 2, (4, 50))
    for want, got in zip(accumulator().run_raw(*x), compiled[0].run_raw(*x), strict=True):
        for a, b in zip(want, got, strict=True):
            np.testing.assert_array_equal(a, b)
    for want, got in zip(counter().free_run(2, 9), compiled[1].free_run(2, 9), strict=True):
        np.testing.assert_array_equal(want[0], got[0])


def test_no_time_gives_the_initial_state(compiled):
    outputs, states = compiled[0].run_raw(np.zeros((3, 0, 2), int), np.zeros((3, 0), int))
    assert [o.shape for o in outputs] == [(3, 0, 2), (3, 0)]
    np.testing.assert_array_equal(states[0], [[-3, 100]] * 3)
    assert states[1].tolist() == [1 << 66] * 3


def test_the_function_restarts_where_it_is_told():
    text = hls.machine_source(counter(), "ring")
    entry = """
#include "fx_crossing.h"
extern "C" int step(int again) { ap_uint<3> y[1]; ring_top(again, y); return y[0].to_int(); }
"""
    step = ctypes.CDLL(str(shared_library([text + entry]))).step
    assert [step(again) for again in (0, 0, 0, 0, 1, 0, 1)] == [5, 6, 7, 0, 5, 6, 5]


def test_bad_calls_are_named(compiled):
    with pytest.raises(TypeError, match="the machine has 2 inputs, not 0"):
        compiled[0].run_raw()
    with pytest.raises(TypeError, match="the machine has 2 inputs; use run_raw"):
        compiled[0].free_run(1, 1)
    with pytest.raises(ValueError, match=r"must lie in raw -8\.\.7"):
        compiled[0].run_raw(np.full((1, 1, 2), 9), np.zeros((1, 1), int))
    with pytest.raises(ValueError, match="name must be a C"):
        hls.machine_source(counter(), "a b")


def test_tensors_may_be_called_as_the_loops_of_the_simulation():
    builder = Builder("loops")
    names = ["s", "batch", "out", "i", "in"]
    tensors = [builder.input(n, TensorType.of(SQ(4, 0)), FormatEncoder(SQ(4, 0))) for n in names]
    graph = builder.finish([tensors[0] + tensors[1], tensors[2] + tensors[3] + tensors[4]], ["t", "k"])
    y, z = hls.compile_graphs([graph])[0](*(np.array([k, k + 1]) for k in range(5)))
    assert (y.tolist(), z.tolist()) == ([1, 3], [9, 12])
