"""Shipped .keras files against what Keras computed for them, without keras."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import keras_edit
import numpy as np
import pytest

import fxsim
from fxsim.compare.reference import decode
from fxsim.data import digits_keras, digits_samples

DATA = Path(__file__).parent / "data"
FAMILIES = sorted(p.stem for p in DATA.glob("*.keras"))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_of_the_file(family) -> None:
    graph = fxsim.load(DATA / f"{family}.keras")
    with np.load(DATA / f"{family}.npz") as data:
        x = [data[f"x__{i}"] for i in range(len(graph.inputs))]
        reals = {k.removeprefix("tensor__").replace("--", "/"): data[k] for k in data.files if k[0] == "t"}
    codes = graph.codes(*x)
    assert set(codes) == set(reals)
    for name, values in codes.items():
        entry = graph.names[name]
        found, _ = decode(name, entry, reals[name], len(x[0]))
        assert np.array_equal(found, values), name
        if entry.affine.is_identity:
            assert np.array_equal(np.ldexp(values.astype(np.float64), -entry.value.type.frac), reals[name])


def test_trained_digits() -> None:
    graph = fxsim.load(digits_keras())
    x, y = digits_samples()
    with np.load(DATA / "digits_hgq2_mlp.npz") as data:
        out, hidden = data["out"], data["codes__q_dense_1_iq"]
    x = x.reshape(500, 64)
    assert np.array_equal(graph.run(x), out)
    assert np.array_equal(graph.codes(x)["q_dense_1_iq"], hidden)
    assert int((graph.run(x).argmax(1) == y).sum()) == 487
    widths = graph.names["q_dense_1_iq"].value.op.width.array
    assert widths.min() == 0
    assert widths.max() == 7


def test_neither_keras_nor_torch_nor_onnx_is_needed() -> None:
    code = (
        "import sys\n"
        "for name in ('keras', 'hgq', 'torch', 'onnx'): sys.modules[name] = None\n"
        "import fxsim\n"
        "from fxsim.data import digits_keras\n"
        "print(fxsim.load(digits_keras()).outputs[0].type.shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(10,)\n"


def test_missing_h5py_names_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"needs h5py: install fxsim-hdl\[keras\]"):
        fxsim.load(digits_keras())


def test_blocks_tell_layers_and_certainty() -> None:
    graph = fxsim.load(DATA / "functions.keras")
    kinds = {b.kind for b in graph.blocks}
    assert {"dense", "einsum", "table", "softmax", "attention", "quantize"} <= kinds
    assert all(b.params["float32_exact"] for b in graph.blocks if b.kind in ("dense", "einsum", "attention"))
    tables = {b.name: b.params for b in graph.blocks if b.kind == "table"}
    assert {t["function"] for t in tables.values()} == {
        "tanh", "sigmoid", "silu", "exp of minus", "exp", "reciprocal"
    }  # fmt: skip
    assert {n for n, t in tables.items() if t["near_ties"]} <= {"lut_iq", "lut2_iq"}
    # tanh of a sum of 16 bits, in 20 formats: a few of so many entries lie next to a tie
    assert 0 < tables["lut_iq"]["near_ties"] < 100
    assert tables["soft_exp_table_oq"]["max_error"] < 1 / 2


def test_large_tables_are_thresholds() -> None:
    """The same function by its table and by thresholds gives the same codes."""
    from fxsim.load.keras import tables

    before = fxsim.load(DATA / "functions.keras")
    with np.load(DATA / "functions.npz") as data:
        x = data["x__0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "MAX_CODES", 40)
        after = fxsim.load(DATA / "functions.keras")
    forms = {b.params["form"] for b in after.blocks if b.kind == "table"}
    assert forms == {"table", "thresholds"}
    falling = [b.params["function"] for b in after.blocks if b.params.get("form") == "thresholds"]
    assert {"tanh", "sigmoid", "exp of minus", "reciprocal"} <= set(falling)
    want = before.codes(x)
    for name, codes in after.codes(x).items():
        assert np.array_equal(codes, want[name]), name


def test_files_without_names_are_read_by_class_and_number(tmp_path) -> None:
    """Keras before 3.5 did not write the layers' names beside the weights."""

    def nameless(file: h5py.File) -> None:
        def strip(_: str, item: h5py.Group) -> None:
            item.attrs.pop("name", None)

        file.visititems(strip)

    for family in FAMILIES:
        path = keras_edit.weighted(tmp_path / "m.keras", family, nameless)
        assert fxsim.load(path) == fxsim.load(DATA / f"{family}.keras")
