"""The spilling multiply-accumulate unit: exact sums of any length, in every reading, and its errors."""

from __future__ import annotations

import numpy as np
import pytest

from fxsim.layers.shared_mac import shared_mac
from tests.agreement import machine_readings

UNITS = {
    "int16": shared_mac(steps=400),
    "int14": shared_mac(14, 3, steps=400, name="int14"),
    "int8": shared_mac(8, 1, steps=400, accumulator=18, name="int8"),
    "chain": shared_mac(4, 2, steps=400, accumulator=16, name="chain"),
}


def stimulus(machine, streams: int, time: int) -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    x, w, _ = machine.step.inputs[machine.states :]
    most = x.type.bounds[1]
    out = [rng.integers(-most, most + 1, (streams, time, *n.type.shape)) for n in (x, w)]
    flags = rng.integers(0, 8, (streams, time)) == 0
    out[0][:3], out[1][:2], out[1][2], flags[:4] = most, most, -most, False  # the longest sums, at both ends
    return [*out, flags.astype(np.int64)]


@pytest.mark.parametrize("name", UNITS)
def test_sums_are_exact(name):
    machine = UNITS[name]
    x, w, first = stimulus(machine, 20, 400)
    (y,), _ = machine.run_raw(x, w, first)
    for s in range(20):
        total = 0
        for t in range(400):
            total = (0 if first[s, t] else total) + sum(
                int(a) * int(b) for a, b in zip(x[s, t], w[s, t], strict=True)
            )
            assert y[s, t] == total


def test_chunks_and_widths():
    found = {
        k: (dict(m.step.blocks[0].params)["chunk"], m.step.inputs[1].type.max_width) for k, m in UNITS.items()
    }
    assert found == {"int16": (1, 32 + 9), "int14": (10, 32 + 6), "int8": (8, 18 + 6), "chain": (334, 16 + 1)}
    # The short accumulator is full at the end of a chunk, and not beyond.
    for m, bits, lanes, width in ((UNITS["int16"], 16, 2, 32), (UNITS["int8"], 8, 1, 18)):
        chunk = dict(m.step.blocks[0].params)["chunk"]
        product = (2 ** (bits - 1) - 1) ** 2
        assert chunk * lanes * product < 2 ** (width - 1) <= (chunk + 1) * lanes * product


def test_every_reading_gives_the_same_integers():
    machine = machine_readings.parallel(UNITS)
    parts = [stimulus(m, 250, 400) for m in UNITS.values()]
    machine_readings.check(machine, *[a for part in parts for a in part])


def test_bad_parameters_are_named():
    with pytest.raises(ValueError, match=r"lanes must be at most 2, the products that .*, not 3"):
        shared_mac(16, 3)
    with pytest.raises(ValueError, match="accumulator must have the bits of one product, 31, not 20"):
        shared_mac(16, 1, accumulator=20)
    with pytest.raises(ValueError, match="steps must be at least 1, not 0"):
        shared_mac(steps=0)
