"""Equal to the vendors' headers: the slice in data/, and the full files if FXSIM_GOLDEN names them."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from golden_vectors import DATA, compute, read

FOLDERS = [DATA, *(Path(f) for f in [os.environ.get("FXSIM_GOLDEN")] if f)]
OPS = {
    "ap_fixed": ["CAST", "FROM_DOUBLE", "MUL", "ADD", "SUB", "SHL", "SHR", "DIV", "NEG", "MAC"],
    "ac_fixed": ["CAST", "FROM_DOUBLE", "MUL", "ADD", "SUB"],
}
CASES = [(f, name, op) for f, (name, ops) in product(FOLDERS, OPS.items()) for op in ops]


@pytest.mark.parametrize(("folder", "name", "op"), CASES, ids=lambda v: v.name if isinstance(v, Path) else v)
def test_every_outcome_equals_the_headers(folder: Path, name: str, op: str) -> None:
    rows = 0
    for vectors in read(folder / f"{name}.npz", op):
        np.testing.assert_array_equal(compute(vectors, vectors.result), vectors.y, err_msg=str(vectors))
        rows += len(vectors.y)
    assert rows > 0


@pytest.mark.parametrize(("name", "roundings", "overflows"), [("ap_fixed", 7, 9), ("ac_fixed", 8, 4)])
def test_the_slice_holds_every_op_and_mode(name: str, roundings: int, overflows: int) -> None:
    for op in OPS[name]:
        formats = [v.result for v in read(DATA / f"{name}.npz", op)]
        assert len({f.rounding for f in formats}) == roundings
        assert len({(f.overflow, f.saturation_bits) for f in formats}) == overflows
