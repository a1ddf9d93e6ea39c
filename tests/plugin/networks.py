"""The networks whose outputs the C simulation of hls4ml's Vitis project has been recorded for.

`python tests/plugin/networks.py` records them anew, by g++ (minutes): data/vitis_NAME_SEED.npz.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from copy import copy
from pathlib import Path

import numpy as np
from hls4ml.model.quantizers import BinaryQuantizer, TernaryQuantizer
from random_layers import Layers

DATA = Path(__file__).parent / "data"
SAMPLES = 60


def vectors(seed: int) -> Layers:
    """Dense layers in every strategy, activations, merges."""
    z = Layers(seed, "io_parallel")
    x, y, few = z.input(12), z.input(12), z.input(6)
    for strategy, reuse in (
        ("Latency", 1), ("Latency", 3), ("Resource", 1), ("Resource", 3), ("Resource", 4), ("Resource", 24),
        ("resource_unrolled", 3), ("resource_unrolled", 24),
    ):  # fmt: skip
        z.dense(x, 4, strategy, reuse)
        z.dense(x, 4, strategy, reuse, tight=True)
    z.dense(x, 3, weight="fixed<3,1>", accum="fixed<12,5>")
    z.dense(x, 3, weight="int<4>", bias="int<3>", accum="int<7>", result="int<6>")
    z.dense(x, 3, weight="int<2>", accum="fixed<12,5>")
    z.dense(x, 3, result="int<3>")
    z.dense(z.dense(x, 6, result="uint<1>"), 3)
    for name in ("relu", "relu6", "relu1", "binary_tanh", "ternary_tanh", "linear"):
        z.activation(x, name)
    z.activation(x, "binary_tanh", types={"result": "uint<1>"})
    z.activation(x, "ternary_tanh", types={"result": "int<2>"})
    z.activation(x, "leakyrelu", "LeakyReLU", {"param": z.type()}, activ_param=0.3)
    z.activation(x, "thresholdedrelu", "ThresholdedReLU", {"param": z.type()}, activ_param=0.8)
    z.activation(x, "prelu", "PReLU", {"param": z.type()}, param_data=z.numbers(12))
    z.activation(x, "hard_sigmoid", "HardActivation")
    z.activation(x, "hard_tanh", "HardActivation", slope=0.3, shift=0.4)
    z.batch_norm(x)
    for op in ("add", "subtract", "multiply", "average", "maximum", "minimum"):
        z.merge(x, y, op)
    z.merge(few, z.input(3), "add")
    z.concat(x, few, 1)
    z.concat(x, y, -1)
    z.other("Dot", [x, y], (1,), {"result": z.type(), "accum": z.accum()}, op="dot1d", axis=1)
    return z


def images(seed: int) -> Layers:
    """Convolutions, pooling, normalization and wiring, io_parallel."""
    z = Layers(seed, "io_parallel")
    x, i = z.input(9, 4), z.input(6, 5, 3)
    z.conv(x, (3,))
    z.conv(x, (3,), (2,), (1, 1))
    z.conv(x, (1,))
    z.conv(x, (1,), (2,))
    z.conv(x, (3,), strategy="Resource", reuse=4)
    z.conv(x, (2,), pads=(0, 1), strategy="Resource", reuse=2)
    z.conv(x, (1,), strategy="Resource", reuse=2)
    z.conv(x, (3,), ParallelizationFactor=7)
    z.conv(x, (1,), ParallelizationFactor=9)
    z.conv(i, (2, 3))
    z.conv(i, (3, 3), (2, 1), (1, 1, 1, 1))
    z.conv(i, (1, 1))
    z.conv(i, (1, 1), (2, 2))
    z.conv(i, (2, 2), pads=(0, 1, 0, 1), strategy="Resource", reuse=3)
    z.conv(i, (3, 2), depthwise=True)
    z.conv(i, (3, 3), pads=(1, 1, 1, 1), ParallelizationFactor=30)
    for kind in ("Max", "Average"):
        z.pool(x, kind, (2,))
        z.pool(x, kind, (3,), (2,))
        z.pool(x, kind, (3,), (2,), (1, 1), tight=True)
        z.pool(x, kind, (2,), pads=(0, 1), count=True)
        z.pool(i, kind, (2, 2))
        z.pool(i, kind, (3, 2), (2, 1), tight=True)
        z.pool(i, kind, (3, 3), (2, 2), (1, 1, 1, 1))
        z.pool(i, kind, (2, 2), pads=(0, 0, 0, 1), count=True)
        z.global_pool(x, kind)
        z.global_pool(i, kind)
    plus = z.input(9, 4, type="ufixed<7,3>")
    z.pool(plus, "Max", (3,), (2,), (1, 1))
    z.pool(plus, "Average", (3,), (2,), (1, 1))
    z.batch_norm(x)
    z.batch_norm(i)
    z.activation(i, "relu")
    z.moves(lambda: x, lambda: i)
    z.other(
        "Resize", i, (4, 7, 3), in_height=6, in_width=5, out_height=4, out_width=7, n_chan=3,
        data_format="channels_last", algorithm="nearest",
    )  # fmt: skip
    other = z.input(6, 5, 3)
    for axis in (1, 2, 3, -1):
        z.concat(i, other, axis)
    z.concat(x, plus, 1)
    z.concat(x, plus, 2)
    z.merge(x, plus, "add")
    z.conv(z.other("Reshape", i, (30, 3), output=False, target_shape=[30, 3]), (1,))
    return z


def streams(seed: int) -> Layers:
    """The same layers in io_stream, each on an input of its own, and a small network."""
    z = Layers(seed, "io_stream")

    def row() -> str:
        return z.input(9, 4)

    def image() -> str:
        return z.input(6, 5, 3)

    for strategy, reuse in (("Latency", 1), ("Resource", 4), ("resource_unrolled", 3)):
        z.dense(z.input(12), 4, strategy, reuse, tight=True)
    shared = z.input(12)
    z.dense(shared)
    z.activation(shared, "relu")
    z.batch_norm(shared)
    z.activation(z.input(12), "ternary_tanh")
    z.activation(z.input(12), "prelu", "PReLU", {"param": z.type()}, param_data=z.numbers(12))
    z.conv(row(), (3,), (2,), (1, 1))
    z.conv(row(), (1,), (2,))
    z.conv(row(), (3,), strategy="Resource", reuse=4)
    z.conv(row(), (3,), strategy="resource_unrolled", reuse=4)
    z.conv(row(), (3,), depthwise=True, strategy="Resource", reuse=2)
    z.conv(image(), (3, 3), (2, 1), (1, 1, 1, 1))
    z.conv(image(), (1, 1), (2, 2))
    z.conv(image(), (3, 2), depthwise=True)
    z.conv(image(), (2, 2), depthwise=True, strategy="Resource", reuse=4)
    for kind in ("Max", "Average"):
        z.pool(row(), kind, (5,), (2,), tight=True)
        z.pool(image(), kind, (3, 2), tight=True)
        z.global_pool(row(), kind)
        z.global_pool(image(), kind)
    z.batch_norm(image())
    z.moves(row, image)
    for axis in (1, 2, 3):
        z.concat(image(), image(), axis)
    z.merge(row(), row(), "average")
    y = z.pool(z.activation(z.conv(image(), (2, 2), output=False), "relu", output=False), "Max", (2, 2),
               output=False)  # fmt: skip
    size = int(np.prod(z.shapes[y]))
    z.dense(z.other("Reshape", y, (size,), output=False, target_shape=[size]), 5)
    return z


def kernels(seed: int) -> Layers:
    """Einsum layers, distributed arithmetic, binary and ternary networks."""
    z = Layers(seed, "io_parallel")
    a, b, c, d = z.input(4, 6), z.input(5, 6), z.input(4, 5, 6), z.input(4, 6, 3)
    for tight in (False, True):
        z.einsum_dense(a, "ij,jk->ik", (6, 3), (4, 3), tight)
        z.einsum_dense(a, "ij,ijk->ik", (4, 6, 3), (4, 3), tight)
        z.einsum_dense(c, "abc,cd->bda", (6, 2), (5, 2, 4), tight)
        z.einsum(a, b, "ij,kj->ik", (4, 5), tight)
        z.einsum(c, d, "abc,acd->adb", (4, 3, 5), tight)
    exact = "distributed_arithmetic"
    x, image, row = z.input(8), z.input(5, 5, 2), z.input(7, 3)
    z.dense(x, 4, exact)
    z.conv(image, (2, 3), strategy=exact)
    z.conv(image, (1, 1), strategy=exact)
    z.conv(row, (3,), pads=(1, 1), strategy=exact)
    z.conv(row, (1,), strategy=exact)
    z.einsum_dense(a, "ij,ijk->ik", (4, 6, 3), (4, 3), True, exact)
    binary, signs, ternary = BinaryQuantizer(1), BinaryQuantizer(2), TernaryQuantizer()
    for quantizer, sign in ((binary, "binary_tanh"), (signs, "binary_tanh"), (ternary, "ternary_tanh")):
        y = x
        for size in (10, 6):
            y = z.quantized_dense(y, size, copy(quantizer))
            y = z.activation(z.wide_norm(y), sign, output=False)
        z.quantized_dense(y, 5, copy(quantizer), output=True)
        z.activation(z.wide_norm(z.quantized_dense(x, 10, copy(quantizer))), sign)
    return z


NETWORKS: dict[str, Callable[[int], Layers]] = {
    "vectors": vectors,
    "images": images,
    "streams": streams,
    "kernels": kernels,
}
RECORDED = [
    ("vectors", 0),
    ("vectors", 1),
    ("vectors", 2),
    ("images", 0),
    ("images", 1),
    ("streams", 0),
    ("kernels", 0),
]


def compiled(z: Layers, folder: str, samples: list[np.ndarray]) -> list[np.ndarray]:
    """Outputs of the Vitis project, compiled by g++."""
    model = z.model("Vitis", folder)
    model.write()
    script = Path(folder) / "build_lib.sh"
    script.write_text(script.read_text().replace("-O3", "-O0"))
    model._compile()
    return model.predict([np.ascontiguousarray(x) for x in samples])


def record(name: str, seed: int) -> None:
    z = NETWORKS[name](seed)
    samples = z.samples(SAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        outputs = compiled(z, folder, samples)
    values = np.concatenate([np.asarray(y).ravel() for y in outputs])
    # Every type here has at most 16 fraction bits, so that the codes are whole.
    codes = np.ldexp(values, 16)
    assert np.array_equal(codes, np.rint(codes))
    np.savez_compressed(DATA / f"vitis_{name}_{seed}.npz", codes=codes.astype(np.int32))
    print(name, seed, len(z.outputs), "outputs", len(codes), "codes", flush=True)


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    chosen = sys.argv[1:]
    for name, seed in RECORDED:
        if not chosen or f"{name}_{seed}" in chosen:
            record(name, seed)
