"""Pooling, reductions and operators that move codes against LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_writer import Writer, equal


def one(
    path: Path, op: str, shape: tuple[int, ...], out: tuple[int, ...], constants: tuple[Any, ...] = (),
    x: Any = (0.05, 7), y: Any = (0.05, 7), dtype: Any = np.int8, first: bool = False, **options: Any,
) -> Path:  # fmt: skip
    w = Writer()
    a = w.tensor("x", shape, *x)
    extra = [w.integers(f"c{i}", c) if not isinstance(c, np.ndarray) else w.constant(f"c{i}", c, *x)
             for i, c in enumerate(constants)]  # fmt: skip
    b = w.tensor("y", out, *(y if dtype == np.int8 else ()), dtype=dtype)
    w.op(op, [*extra, a] if first else [a, *extra], [b], **options)
    w.ends([a], [b])
    return w.save(path)


POOLS = [
    {"strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2, "padding": 1},
    {"strideH": 1, "strideW": 2, "filterHeight": 3, "filterWidth": 2, "padding": 0},
    {
        "strideH": 2,
        "strideW": 2,
        "filterHeight": 3,
        "filterWidth": 3,
        "padding": 0,
        "fusedActivationFunction": 1,
    },
    {
        "strideH": 5,
        "strideW": 6,
        "filterHeight": 5,
        "filterWidth": 6,
        "padding": 1,
        "fusedActivationFunction": 3,
    },
    {"strideH": 1, "strideW": 1, "filterHeight": 1, "filterWidth": 4, "padding": 0},
]


@pytest.mark.parametrize("op", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize("options", POOLS)
@pytest.mark.parametrize("method", ["auto", "threshold"])
def test_pools(
    rng: np.random.Generator, tmp_path: Path, op: str, options: dict[str, int], method: str
) -> None:
    for zero in (-128, 3, 127):
        q = 0.03, zero
        path = one(
            tmp_path / "p.tflite", op, (1, 5, 6, 3), (1, 1, 1, 3), (), q, q, kind="Pool2DOptions", **options
        )
        equal(rng, path, 60, method)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    ("axes", "out"),
    [([1, 2], (1, 4)), ([2], (1, 3, 4)), ([3], (1, 3, 5)), ([-1, 1], (1, 5)), ([1, 2, 3], (1,))],
)
def test_means(
    rng: np.random.Generator, tmp_path: Path, keep: bool, axes: list[int], out: tuple[int, ...]
) -> None:
    if keep:
        out = tuple(1 if i in [a % 4 for a in axes] else n for i, n in enumerate((1, 3, 5, 4)))
    for x, y in (((0.1, 5), (0.03, -7)), ((0.02, -128), (0.02, -128)), ((0.05, 100), (0.4, 0))):
        path = one(
            tmp_path / "m.tflite",
            "MEAN",
            (1, 3, 5, 4),
            out,
            (axes,),
            x,
            y,
            kind="ReducerOptions",
            keepDims=keep,
        )
        equal(rng, path, 60)


@pytest.mark.parametrize("op", ["REDUCE_MAX", "REDUCE_MIN"])
def test_reduced_extrema(rng: np.random.Generator, tmp_path: Path, op: str) -> None:
    for keep, out in ((False, (1, 4)), (True, (1, 1, 1, 4))):
        path = one(
            tmp_path / "r.tflite", op, (1, 3, 5, 4), out, ([1, 2],), kind="ReducerOptions", keepDims=keep
        )
        equal(rng, path, 30)


def test_arg_max(rng: np.random.Generator, tmp_path: Path) -> None:
    for axis, out in ((1, (1, 4)), (-1, (1, 3))):
        path = one(tmp_path / "a.tflite", "ARG_MAX", (1, 3, 4), out, (axis,), dtype=np.int32,
                   kind="ArgMaxOptions", outputType=2)  # fmt: skip
        equal(rng, path, 60)


WIRING: list[tuple[str, tuple[int, ...], tuple[int, ...], tuple[Any, ...], dict[str, Any]]] = [
    ("RESHAPE", (1, 3, 4), (1, 12), ([1, 12],), {"kind": "ReshapeOptions"}),
    ("RESHAPE", (1, 3, 4), (1, 2, 6), ([-1, 2, 6],), {"kind": "ReshapeOptions"}),
    ("RESHAPE", (1, 3, 4), (12,), ([12],), {"kind": "ReshapeOptions"}),
    ("RESHAPE", (1, 3, 4), (4, 3), ([4, 3],), {"kind": "ReshapeOptions"}),
    ("SQUEEZE", (1, 1, 3, 1, 4), (1, 3, 4), (), {"kind": "SqueezeOptions", "squeezeDims": [1, 3]}),
    ("SQUEEZE", (1, 1, 3, 1, 4), (3, 4), (), {"kind": "SqueezeOptions"}),
    ("EXPAND_DIMS", (1, 3, 4), (1, 3, 1, 4), (2,), {"kind": "ExpandDimsOptions"}),
    ("EXPAND_DIMS", (1, 3, 4), (1, 3, 4, 1), (-1,), {"kind": "ExpandDimsOptions"}),
    ("EXPAND_DIMS", (1, 3, 4), (1, 1, 3, 4), (0,), {"kind": "ExpandDimsOptions"}),
    ("TRANSPOSE", (1, 3, 4, 2), (1, 2, 3, 4), ([0, 3, 1, 2],), {"kind": "TransposeOptions"}),
    ("TRANSPOSE", (1, 3, 4), (4, 1, 3), ([2, 0, 1],), {"kind": "TransposeOptions"}),
    ("TRANSPOSE", (1, 1, 4), (1, 1, 4), ([1, 0, 2],), {"kind": "TransposeOptions"}),
    ("PAD", (1, 3, 4, 2), (1, 6, 4, 3), ([[0, 0], [1, 2], [0, 0], [1, 0]],), {"kind": "PadOptions"}),
    ("PADV2", (1, 3, 4), (1, 3, 7), ([[0, 0], [0, 0], [1, 2]], np.array([-9], np.int8)),
     {"kind": "PadV2Options"}),
    ("SLICE", (1, 5, 4), (1, 2, 3), ([0, 2, 1], [1, 2, -1]), {"kind": "SliceOptions"}),
    ("STRIDED_SLICE", (1, 5, 4), (1, 2, 4), ([0, 1, 0], [1, 4, 4], [1, 2, 1]),
     {"kind": "StridedSliceOptions"}),
    ("STRIDED_SLICE", (1, 5, 4), (1, 5, 2), ([0, 0, 3], [0, 0, 0], [1, 1, -2]),
     {"kind": "StridedSliceOptions", "beginMask": 3, "endMask": 7}),
    ("STRIDED_SLICE", (1, 5, 4), (1, 4), ([0, -2, 0], [1, 9, 4], [1, 1, 1]),
     {"kind": "StridedSliceOptions", "shrinkAxisMask": 2}),
    ("STRIDED_SLICE", (1, 5, 4), (5, 4), ([0, 0, 0], [1, 5, 4], [1, 1, 1]),
     {"kind": "StridedSliceOptions", "shrinkAxisMask": 1}),
    ("GATHER", (1, 5, 4), (1, 3, 4), ([4, 0, 4],), {"kind": "GatherOptions", "axis": 1}),
    ("DEPTH_TO_SPACE", (1, 2, 3, 8), (1, 4, 6, 2), (), {"kind": "DepthToSpaceOptions", "blockSize": 2}),
    ("SPACE_TO_DEPTH", (1, 4, 6, 2), (1, 2, 3, 8), (), {"kind": "SpaceToDepthOptions", "blockSize": 2}),
    ("REVERSE_V2", (1, 5, 4), (1, 5, 4), ([1],), {"kind": "ReverseV2Options"}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "shape", "out", "constants", "options"), WIRING)
def test_wiring(
    rng: np.random.Generator, tmp_path: Path, op: str, shape: Any, out: Any, constants: Any, options: Any
) -> None:
    equal(rng, one(tmp_path / "w.tflite", op, shape, out, constants, **options), 20)


@pytest.mark.parametrize(("corners", "half"), [(False, False), (True, False), (False, True)])
def test_nearest_neighbour(rng: np.random.Generator, tmp_path: Path, corners: bool, half: bool) -> None:
    for size in ((6, 8), (7, 3), (1, 1), (2, 11)):
        options = {"alignCorners": corners, "halfPixelCenters": half, "kind": "ResizeNearestNeighborOptions"}
        shapes = (1, 3, 4, 2), (1, *size, 2), (list(size),)
        path = one(tmp_path / "n.tflite", "RESIZE_NEAREST_NEIGHBOR", *shapes, **options)
        equal(rng, path, 10)


@pytest.mark.parametrize(("corners", "half"), [(False, False), (True, False), (False, True)])
def test_bilinear(rng: np.random.Generator, tmp_path: Path, corners: bool, half: bool) -> None:
    for size in ((6, 8), (7, 3), (1, 1), (2, 11), (3, 4), (13, 1)):
        options = {"alignCorners": corners, "halfPixelCenters": half, "kind": "ResizeBilinearOptions"}
        shapes = (1, 3, 4, 2), (1, *size, 2), (list(size),)
        equal(rng, one(tmp_path / "b.tflite", "RESIZE_BILINEAR", *shapes, **options), 60)


def test_several_outputs(rng: np.random.Generator, tmp_path: Path) -> None:
    w = Writer()
    x = w.tensor("x", (1, 6, 4), 0.1, 3)
    parts = [w.tensor(f"p{i}", (1, 2, 4), 0.1, 3) for i in range(3)]
    w.op("SPLIT", [w.integers("axis", 1), x], parts, kind="SplitOptions", numSplits=3)
    sized = [w.tensor(f"v{i}", (1, 6, n), 0.1, 3) for i, n in enumerate((1, 3))]
    w.op(
        "SPLIT_V",
        [x, w.integers("sizes", [1, -1]), w.integers("at", 2)],
        sized,
        kind="SplitVOptions",
        numSplits=2,
    )
    rows = [w.tensor(f"u{i}", (1, 4), 0.1, 3) for i in range(6)]
    w.op("UNPACK", [x], rows, kind="UnpackOptions", num=6, axis=1)
    packed = w.tensor("packed", (1, 4, 2), 0.1, 3)
    w.op("PACK", [rows[4], rows[1]], [packed], kind="PackOptions", axis=2, valuesCount=2)
    fixed = w.constant("fixed", rng.integers(-128, 128, (1, 1, 4), dtype=np.int8), 0.1, 3)
    joined = w.tensor("joined", (1, 5, 4), 0.1, 3)
    w.op("CONCATENATION", [parts[2], fixed, parts[0]], [joined], kind="ConcatenationOptions", axis=-2)
    w.ends([x], [*parts, *sized, packed, joined])
    equal(rng, w.save(tmp_path / "s.tflite"), 20)


def test_shape_arithmetic_is_folded(rng: np.random.Generator, tmp_path: Path) -> None:
    w = Writer()
    x = w.tensor("x", (1, 3, 4), 0.1, 3, signature=(-1, 3, 4))
    shape, batch = w.tensor("shape", (3,), dtype=np.int32), w.tensor("batch", (), dtype=np.int32)
    w.op("SHAPE", [x], [shape], kind="ShapeOptions", outType=2)
    w.op("STRIDED_SLICE", [shape, w.integers("b", [0]), w.integers("e", [1]), w.integers("s", [1])], [batch],
         kind="StridedSliceOptions", shrinkAxisMask=1)  # fmt: skip
    target, y = w.tensor("target", (2,), dtype=np.int32), w.tensor("y", (1, 12), 0.1, 3)
    w.op("PACK", [batch, w.integers("twelve", 12)], [target], kind="PackOptions", valuesCount=2)
    w.op("RESHAPE", [x, target], [y])
    w.ends([x], [y])
    graph = equal(rng, w.save(tmp_path / "s.tflite"), 20)
    assert graph.outputs[0].type.shape == (12,)


def test_a_fixed_batch_of_several_samples(rng: np.random.Generator, tmp_path: Path) -> None:
    from tflite_writer import interpreter

    import fxsim

    w = Writer()
    x, y = w.tensor("x", (4, 3, 4), 0.1, 3), w.tensor("y", (4, 12), 0.1, 3)
    z = w.tensor("z", (4, 5), 0.9, -3)
    weight = w.constant("w", rng.integers(-127, 128, (5, 12), dtype=np.int8), 0.05)
    w.op("RESHAPE", [x, w.integers("shape", [4, 12])], [y])
    w.op("FULLY_CONNECTED", [y, weight], [z], kind="FullyConnectedOptions")
    w.ends([x], [z])
    path = w.save(tmp_path / "b.tflite")
    raw = rng.integers(-128, 128, (4, 3, 4))
    found = interpreter(path)
    found.set_tensor(x, raw.astype(np.int8))
    found.invoke()
    assert np.array_equal(fxsim.load(path).run_raw(raw), found.get_tensor(z))
