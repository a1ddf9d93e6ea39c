"""A 16-64-32-32-5 MLP with 16-bit accumulators as hls4ml 1.3 computed it: emulator and compiled C++."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import hls
from fxsim import Format, Graph, concat, trace
from fxsim.trace import Tensor

DATA = Path(__file__).parent / "data"
FOLDERS = [DATA, *(Path(f) for f in [os.environ.get("FXSIM_GOLDEN")] if f)]


def mlp(golden: dict[str, np.ndarray]) -> Graph:
    """The network by hls4ml's rule: products cast to accum_t, added to the bias in order, cast again."""
    types = json.loads(str(golden["types_json"]))

    def dense(x: Tensor, name: str) -> Tensor:
        fmt = {k: Format.parse(v) for k, v in types[name].items()}
        real = {
            k: np.ldexp(golden[f"{name}.{k}_int"].astype(float), -fmt[k].frac) for k in ("weight", "bias")
        }
        products = (x.reshape(-1, 1) * real["weight"]).cast(fmt["accum"])
        return concat([real["bias"][None, :], products]).accumulate(fmt["accum"], 0).cast(fmt["result"])

    def network(x: Tensor) -> Tensor:
        for name in ("1", "2", "3"):
            x = dense(x, f"fc{name}").relu().cast(Format.parse(types[f"relu{name}"]["result"]))
        return dense(x, "fc4")

    return trace(network, Format.parse(types["x"]["result"]), shape=(16,))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_every_output_equals_hls4ml(folder: Path) -> None:
    with np.load(folder / "hls4ml_mlp.npz") as data:
        golden = dict(data)
    graph = mlp(golden)
    raw = graph.encoders[0].encode(golden["x"], "x")
    np.testing.assert_array_equal(graph.run_raw(raw), golden["y_int"])
    (compiled,) = hls.compile_graphs([graph], optimize=1)
    np.testing.assert_array_equal(compiled(raw), golden["y_int"])
