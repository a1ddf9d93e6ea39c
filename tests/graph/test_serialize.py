"""Graph files: what is saved comes back equal, damage is an error, and nothing is ever half-written."""

from __future__ import annotations

import io
import json
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import fxsim
from fxsim import SQ, Graph, ops, trace
from fxsim.data import DIGITS, digits_model, digits_samples
from fxsim.serialize import load, save


def test_models_come_back_whole(tmp_path: Path) -> None:
    for name in DIGITS:
        g = fxsim.load(digits_model(name))
        g.save(tmp_path / "model.fxs")
        h = fxsim.load(tmp_path / "model.fxs")
        assert h == g and hash(h) == hash(g) and str(h) == str(g)
        assert (h.encoders, h.output_affines, h.output_names) == (
            g.encoders,
            g.output_affines,
            g.output_names,
        )
        assert list(h.names) == list(g.names)
        assert [(b.kind, b.name, b.start, b.stop, b.parent) for b in h.blocks] == [
            (b.kind, b.name, b.start, b.stop, b.parent) for b in g.blocks
        ]
        assert [dict(b.params) for b in h.blocks] == [dict(b.params) for b in g.blocks]
        x = digits_samples()[0][:50]
        np.testing.assert_array_equal(h.run(x), g.run(x))
        got, want = h.codes(x), g.codes(x)
        assert got.keys() == want.keys()
        for k, v in want.items():
            np.testing.assert_array_equal(got[k], v)


def wide() -> Graph:
    """Constants beyond 62 bits, a table with a rational error, an accumulator's format."""
    table = ops.Table.of(lambda v: v * v / 3, trace(lambda x: x, SQ(3, 0)).inputs[0].type, 4, "square/3")
    return trace(
        lambda x: (
            x.builder.apply(table, x),
            x + x.builder.apply(ops.Const(np.array([1 << 80, -(1 << 70)], object))),
            x.accumulate(SQ(2, 1, overflow="SAT", rounding="RND_CONV"), 0),
        ),
        SQ(3, 0),
        shape=(2,),
    )


def test_big_integers_and_fractions(tmp_path: Path) -> None:
    g = wide()
    g.save(tmp_path / "g.fxs")
    h = load(tmp_path / "g.fxs")
    assert h == g
    found = [v.op for v in h.values if isinstance(getattr(v, "op", None), ops.Table)]
    assert isinstance(found[0].max_error, Fraction) and found[0].function == "square/3"
    for a, b in zip(h.run_raw([[3, -4]]), g.run_raw([[3, -4]]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_cut_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "g.fxs"
    wide().save(path)
    whole = path.read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"graph file|truncated|damaged"):
            load(path)


def altered(tmp_path: Path, change: dict[str, object]) -> Path:
    """A saved graph whose description has other entries."""
    path = tmp_path / "g.fxs"
    wide().save(path)
    with np.load(path) as data:
        arrays = {k: data[k] for k in data.files}
    description = json.loads(arrays.pop("graph.json").tobytes()) | change
    text = np.frombuffer(json.dumps(description).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **{"graph.json": text}, **arrays)  # type: ignore[arg-type]
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 2}, "version 2"),
        ({"values": [{"op": {"$op": "Nothing", "fields": {}}, "args": []}]}, "Nothing"),
        ({"values": [{"op": {"$op": "Neg", "fields": {}}, "args": [7]}]}, "does not come before"),
        ({"values": [{"op": {"$op": "Neg", "fields": {"x": 1}}, "args": [0]}]}, "damaged"),
        ({"inputs": 3}, "damaged"),
        ({"outputs": [{"value": 99, "name": "y", "affine": None}]}, "damaged"),
    ],
)
def test_a_wrong_description_is_named(tmp_path: Path, change: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        load(altered(tmp_path, change))


def test_no_code_is_executed(tmp_path: Path) -> None:
    path = tmp_path / "g.fxs"
    with zipfile.ZipFile(path, "w") as z:
        buffer = io.BytesIO()
        np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
        z.writestr("graph.json.npy", buffer.getvalue())
    with pytest.raises(ValueError, match="graph file"):
        load(path)


def test_nothing_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "g.fxs"
    wide().save(path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        save(trace(lambda x: x, SQ(3, 0)), path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["g.fxs"]


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        wide().save(tmp_path / "nowhere" / "g.fxs")
    with pytest.raises(IsADirectoryError, match="folder"):
        wide().save(tmp_path)
