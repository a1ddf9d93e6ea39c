"""Models that others trained: QONNX files of the QONNX model zoo and a FINN file, node by node against
qonnx. Their licences lie beside them in data/public."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import onnx
import pytest
from qonnx_oracle import tensors

from fxsim import Format, load

DATA = Path(__file__).parent / "data" / "public"
TOP = Format.parse("ufixed<8,8>")


def unpacked(folder: Path, name: str) -> Path:
    path = folder / f"{name}.onnx"
    path.write_bytes(lzma.decompress((DATA / f"{name}.onnx.xz").read_bytes()))
    return path


def real(graph, name: str, codes: np.ndarray) -> np.ndarray:
    n = graph.names[name]
    return n.affine.apply(np.asarray(codes), n.value.type.frac, n.value.type.ndim).astype(np.float32)


def images(rng: np.random.Generator, n: int) -> np.ndarray:
    """Pictures as a camera gives them: noise of all contrasts, and blobs on black as digits are."""
    noise = rng.integers(0, 256, (n, 1, 28, 28)) * (rng.random((n, 1, 28, 28)) < rng.random((n, 1, 1, 1)))
    soft = np.cumsum(np.cumsum(rng.normal(size=(n, 1, 28, 28)), axis=2), axis=3)
    soft = np.clip(soft / np.abs(soft).max(axis=(2, 3), keepdims=True) * 255, 0, 255).astype(np.int64)
    return np.where((np.arange(n) % 2 == 0)[:, None, None, None], noise, soft).astype(np.float32)


@pytest.mark.parametrize("name", ["TFC_1W1A", "TFC_1W2A", "TFC_2W2A"])
@pytest.mark.parametrize("rescale", ["auto", "threshold"])
def test_qonnx_model_zoo(tmp_path, rng, name, rescale) -> None:
    path = unpacked(tmp_path, name)
    graph = load(path, rescale=rescale)
    with np.load(DATA / "finn_tfc.npz") as digits:
        x = np.concatenate([digits["x"].astype(np.float32), images(rng, 300)]) / np.float32(255)
    values = tensors(path, x)
    codes = graph.codes(x)
    quantizers = [
        n.output[0] for n in onnx.load(str(path)).graph.node if "Quant" in n.op_type and n.output[0] in codes
    ]
    assert len(quantizers) == 4  # of activations; those of weights are constants of the graph
    for tensor, raw in codes.items():
        assert np.array_equal(real(graph, tensor, raw), values[tensor]), tensor
    if name == "TFC_2W2A":
        assert graph.run(x[:4]).argmax(axis=1).tolist() == [7, 2, 1, 0]


def finn_values(path: Path, x: np.ndarray) -> dict[str, np.ndarray]:
    """qonnx on the FINN file, for all samples at once: its Reshape is (1, -1)."""
    from qonnx.custom_op.registry import add_domain_alias

    add_domain_alias("finn.custom_op.general", "qonnx.custom_op.general")
    proto = onnx.load(str(path))
    shape = next(t for t in proto.graph.initializer if t.name == "Reshape_0_param0")
    shape.CopyFrom(onnx.numpy_helper.from_array(np.array([0, -1]), shape.name))
    other = path.with_name("batch.onnx")
    other.write_bytes(proto.SerializeToString())
    return tensors(other, x)


def test_finn_gives_its_four_digits(tmp_path) -> None:
    with np.load(DATA / "finn_tfc.npz") as digits:
        x, y = digits["x"].astype(np.float32), digits["y"]
    graph = load(unpacked(tmp_path, "finn_tfc"))
    assert np.array_equal(graph.run(x), y.reshape(4, 1))
    assert y.ravel().tolist() == [7, 2, 1, 0]
    inside = load(tmp_path / "finn_tfc.onnx", input=TOP)
    assert np.array_equal(inside.run(x), y.reshape(4, 1))


def test_finn_node_by_node(tmp_path, rng) -> None:
    path = unpacked(tmp_path, "finn_tfc")
    graph = load(path)
    with np.load(DATA / "finn_tfc.npz") as digits:
        x = np.concatenate([digits["x"].astype(np.float32), images(rng, 300)])
    values, codes = finn_values(path, x), graph.codes(x)
    assert sum(k.startswith("MultiThreshold") for k in codes) == 4
    for tensor in codes:
        if tensor.startswith(("MultiThreshold", "MatMul")):
            assert np.array_equal(real(graph, tensor, codes[tensor]), values[tensor]), tensor
    assert np.array_equal(graph.run(x), values["global_out"])
