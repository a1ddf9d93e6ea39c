"""What is measured: random matrices by family, size, bits and seed, and the layers of trained models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Case(NamedTuple):
    """A group of matrices of one kind, over which means are taken."""

    family: str
    shape: tuple[int, int]
    bits: int
    seeds: tuple[int, ...]
    matrices: tuple[Array, ...]


def gen(n: int, bits: int, seed: int) -> Array:
    """Square, uniform over the whole signed range of `bits` bits."""
    return uniform((n, n), bits, np.random.default_rng(seed))


def uniform(shape: tuple[int, int], bits: int, rng: np.random.Generator) -> Array:
    return rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), size=shape)


def _square(n: int, bits: int, rng: np.random.Generator) -> Array:
    return uniform((n, n), bits, rng)


def _sparse(n: int, bits: int, rng: np.random.Generator) -> Array:
    """Four of five elements are 0."""
    return uniform((n, n), bits, rng) * (rng.random((n, n)) < 0.2)


def _zero_lines(n: int, bits: int, rng: np.random.Generator) -> Array:
    """Half of the rows and a quarter of the columns are 0."""
    w = uniform((n, n), bits, rng)
    w[rng.permutation(n)[: n // 2]] = 0
    w[:, rng.permutation(n)[: n // 4]] = 0
    return w


def _ternary(n: int, bits: int, rng: np.random.Generator) -> Array:
    return rng.integers(-1, 2, size=(n, n))


def _binary(n: int, bits: int, rng: np.random.Generator) -> Array:
    return 2 * rng.integers(0, 2, size=(n, n)) - 1


def _power_of_two(n: int, bits: int, rng: np.random.Generator) -> Array:
    """+-2**k with k in 0..bits - 2."""
    return (1 << rng.integers(0, max(bits - 1, 1), size=(n, n))) * (2 * rng.integers(0, 2, size=(n, n)) - 1)


def _two_hot(n: int, bits: int, rng: np.random.Generator) -> Array:
    """Sums of two signed powers of two."""
    return _power_of_two(n, bits, rng) + _power_of_two(n, bits, rng)


def _two_of_four(n: int, bits: int, rng: np.random.Generator) -> Array:
    """2:4 sparse: of four neighbouring rows each column keeps the two largest elements."""
    w = uniform((n, n), bits, rng)
    for at in range(0, n, 4):
        part = w[at : at + 4]
        least = np.argsort(abs(part), axis=0, kind="stable")[: len(part) // 2]
        np.put_along_axis(part, least, 0, axis=0)
    return w


def _tall(n: int, bits: int, rng: np.random.Generator) -> Array:
    return uniform((n, 5), bits, rng)


def _wide(n: int, bits: int, rng: np.random.Generator) -> Array:
    return uniform((5, n), bits, rng)


FAMILIES: dict[str, Callable[[int, int, np.random.Generator], Array]] = {
    "square": _square,
    "sparse": _sparse,
    "zero-lines": _zero_lines,
    "ternary": _ternary,
    "binary": _binary,
    "power-of-two": _power_of_two,
    "two-hot": _two_hot,
    "2:4": _two_of_four,
    "tall": _tall,
    "wide": _wide,
}
# Whose elements do not depend on the number of bits: measured once, under this many.
FIXED_BITS = {"ternary": 2, "binary": 2}


def cases(family: str, n: int, bits: list[int], seeds: tuple[int, ...]) -> Iterator[Case]:
    """One case for each number of bits; "tall" is n x 5, "wide" 5 x n, all others n x n."""
    make = FAMILIES[family]
    for b in [FIXED_BITS[family]] if family in FIXED_BITS else bits:
        matrices = tuple(make(n, b, np.random.default_rng(seed)) for seed in seeds)
        yield Case(family, matrices[0].shape, b, seeds, matrices)


def layers(path: Path) -> tuple[list[Case], list[str]]:
    """(cases, what was left out and why) of an ONNX file or of all files below a folder.

    The weights are the integers of constant Quant (QONNX), BipolarQuant and DequantizeLinear nodes; a
    convolution (out, in, height, width) is its matrix (in * height * width, out).
    """
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in MODEL_FILES)
    found: list[Case] = []
    missing = [] if files else [f"{path}: no model file ({', '.join(MODEL_FILES)}) there"]
    for file in files:
        if file.suffix != ".onnx":
            missing.append(f"{file}: only .onnx files are read")
            continue
        name = (
            f"{file.parent.name}/{file.stem}" if file.stem.startswith("model.") else file.stem.split(".")[0]
        )
        count = 0
        for layer, w in _weights(file, missing):
            count += 1
            twin = next((c.family for c in found if np.array_equal(c.matrices[0], w)), None)
            if twin is None:
                bits = max(int(w.max()), ~int(w.min())).bit_length() + 1
                found.append(Case(f"{name}:{layer}", w.shape, bits, (0,), (w,)))
            else:
                missing.append(f"{name}:{layer}: the same matrix as {twin}")
        if not count:
            missing.append(f"{file}: no constant quantized weights in it")
    return found, missing


MODEL_FILES = (".onnx", ".tflite", ".keras")


def _weights(file: Path, missing: list[str]) -> Iterator[tuple[str, Array]]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(file).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    rank = 0
    for node in graph.node:
        values = [constants.get(name) for name in node.input]
        if not values or values[0] is None or np.ndim(values[0]) < 2:
            continue
        if node.op_type == "Quant":
            rounding = next((a.s for a in node.attribute if a.name == "rounding_mode"), b"ROUND")
            if rounding != b"ROUND" or any(v is None for v in values[1:4]):
                missing.append(f"{file}: {node.name} is no constant Quant with rounding mode ROUND")
                continue
            codes = np.rint(values[0] / values[1])  # type: ignore[operator]
            high = 2 ** (int(values[3].item()) - 1)  # type: ignore[union-attr]
            codes = np.clip(codes, -high, high - 1)
        elif node.op_type == "BipolarQuant":
            codes = np.where(values[0] >= 0, 1, -1)
        elif node.op_type == "DequantizeLinear":
            codes = values[0].astype(np.int64) - (0 if len(values) < 3 else values[2].astype(np.int64))  # type: ignore[union-attr]
        else:
            continue
        if not codes.any():
            missing.append(f"{file}: {node.name} is all 0")
            continue
        # Gemm (transB) and Conv have the outputs first, MatMul last; a Transpose stands in between at times.
        w = codes.astype(np.int64)
        w = w.reshape(len(w), -1).T if _outputs_first(graph, node.output[0]) else w.reshape(-1, w.shape[-1])
        yield f"layer{rank}", np.ascontiguousarray(w)  # da4ml and alkaid misread any other memory order
        rank += 1


def _outputs_first(graph: Any, name: str) -> bool:
    """Whether the reader of a weight takes its first axis as outputs."""
    for node in graph.node:
        if name in node.input:
            if node.op_type == "Gemm":
                return any(a.name == "transB" and a.i for a in node.attribute)
            return node.op_type in ("Conv", "Transpose", "Linear")
    return False
