"""Random layers in random types, strategies and both io types: the integers of hls4ml's C simulation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from networks import DATA, NETWORKS, RECORDED, SAMPLES


@pytest.mark.parametrize(("name", "seed"), RECORDED)
def test_every_output_is_vitis(name: str, seed: int) -> None:
    z = NETWORKS[name](seed)
    samples = z.samples(SAMPLES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # hls4ml's own passes, and the traps that the types are
        found = z.model("fxsim", "unused").predict(samples)
    with np.load(DATA / f"vitis_{name}_{seed}.npz") as data:
        codes = data["codes"]
    at = 0
    for output, y in zip(z.outputs, found, strict=True):
        want = codes[at : at + y.size].reshape(y.shape)
        np.testing.assert_array_equal(np.ldexp(y, 16), want, err_msg=f"{output} {z.config[output]}")
        at += y.size
    assert at == len(codes)
