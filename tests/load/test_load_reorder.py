"""Slices, splits, gathers, blocks, resizes: every element against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ort_oracle import samples, tensors
from small_models import node, write
from test_load_qdq import file_codes

from fxsim import SQ
from fxsim.load import load

F32 = np.float32
Model = tuple[list[Any], dict[str, Any]]  # nodes, constants
Case = tuple[tuple[int, ...], list[Any], dict[str, Any], int]


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, F32)


def one(op: str, inputs: str, **attributes: Any) -> list[Any]:
    return [node(op, f"x {inputs}".strip(), "y", **attributes)]


def sliced(*given: int | tuple[int, ...]) -> Model:
    """Begins, ends, axes and steps, as many as are given."""
    constants = {name: ints(*np.atleast_1d(v)) for name, v in zip("beat", given, strict=False)}
    return one("Slice", " ".join(constants)), constants


def scaled(scales: tuple[float, ...], **attributes: Any) -> Model:
    return one("Resize", "r k", **attributes), {"r": floats(), "k": floats(*scales)}


def resized(shape: tuple[int, ...], scales: tuple[float, ...], **attributes: Any) -> Case:
    return shape, *scaled((1, 1, *scales), **attributes), 13


def sized(shape: tuple[int, ...], sizes: tuple[int, ...], **attributes: Any) -> Case:
    constants = {"r": floats(), "e": floats(), "k": ints(1, *sizes)}
    return shape, [node("Resize", "x r e k", "y", **attributes)], constants, 13


CASES: dict[str, Case] = {
    "slice": ((5, 6), *sliced((1, 4), (9, 0), (1, -1), (2, -1)), 13),
    "slice to the start": ((5,), *sliced(3, -99, 1, -2), 13),
    "slice from beyond": ((5,), *sliced(99, 1, 1, -1), 13),
    "slice all axes": ((5, 6), *sliced((0, -3, 1), (1, -1, 6)), 13),
    "slice, opset 9": ((5, 6), one("Slice", "", starts=[1, -4], ends=[4, 99], axes=[1, 2]), {}, 9),
    "slice, opset 9, no axes": ((5,), one("Slice", "", starts=[0, 1], ends=[9, 3]), {}, 9),
    "gather": ((5, 3), one("Gather", "i", axis=1), {"i": np.array([[0, -1], [2, 2]])}, 13),
    "gather one": ((5, 3), one("Gather", "i", axis=2), {"i": np.array(1)}, 13),
    "gather int32": ((5, 3), one("Gather", "i", axis=-1), {"i": np.array([2], np.int32)}, 13),
    "depth to space": ((8, 2, 3), one("DepthToSpace", "", blocksize=2), {}, 13),
    "depth to space, CRD": ((8, 2, 3), one("DepthToSpace", "", blocksize=2, mode="CRD"), {}, 13),
    "space to depth": ((2, 4, 6), one("SpaceToDepth", "", blocksize=2), {}, 13),
    "expand": ((1, 3), one("Expand", "k"), {"k": ints(1, 4, 1)}, 13),
    "expand, fewer axes": ((2, 1), one("Expand", "k"), {"k": ints(5)}, 13),
    "tile": ((2, 3), one("Tile", "k"), {"k": ints(1, 2, 3)}, 13),
    "upsample, opset 9": ((2, 3, 2), one("Upsample", "k", mode="nearest"), {"k": floats(1, 1, 2, 3)}, 9),
    "resize, opset 10": ((2, 3, 2), one("Resize", "k", mode="nearest"), {"k": floats(1, 1, 2, 3)}, 10),
    "resize axes": ((2, 3, 2), *scaled((2, 3), axes=[2, 3]), 18),
}
for how in ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners"):
    for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        both = {"coordinate_transformation_mode": how, "nearest_mode": nearest}
        CASES[f"resize {how} {nearest} up"] = resized((2, 3, 4), (2, 3), **both)
        CASES[f"resize {how} {nearest} down"] = resized((1, 6, 8), (1 / 3, 0.5), **both)
        CASES[f"resize {how} {nearest} to sizes"] = sized((1, 3, 2), (1, 9, 8), **both)
    both = {"coordinate_transformation_mode": how, "mode": "linear"}
    CASES[f"linear {how} up"] = (
        sized((2, 3, 3), (2, 5, 9), **both) if how == "align_corners" else resized((2, 3, 4), (2, 4), **both)
    )
    CASES[f"linear {how} down"] = resized((1, 4, 8), (0.5, 0.25), **both)


@pytest.mark.parametrize("case", CASES)
def test_elements(tmp_path: Path, rng: np.random.Generator, case: str) -> None:
    """Fixed-point numbers; linear weights are dyadic, so that float32 has no rounding either."""
    shape, nodes, constants, opset = CASES[case]
    path = write(tmp_path, nodes, constants, (1, *shape), opset=opset)
    x = (rng.integers(-32, 32, (6, *shape)) / 4).astype(F32)
    want = samples(path, x)["y"]
    found = load(path, input=SQ(4, 2)).run(x)
    assert found.shape == want.shape
    assert np.array_equal(found.astype(F32), want)


def test_split(tmp_path: Path, rng: np.random.Generator) -> None:
    """Equal parts, given parts, a smaller last one; an output that nobody reads; the parts joined again."""
    nodes = [
        node("Split", "x", "a b c", axis=1, num_outputs=3),
        node("Split", "b k", "d e", axis=-1),
        node("Split", "d", "f", axis=1, num_outputs=1),
        node("Concat", "e f", "y", axis=2),
    ]
    path = write(tmp_path, nodes, {"k": ints(2, 3)}, ("N", 5, 5), opset=18)
    x = (rng.integers(-32, 32, (6, 5, 5)) / 4).astype(F32)
    want = tensors(path, x)
    graph = load(path, input=SQ(4, 2))
    assert np.array_equal(graph.run(x).astype(F32), want["y"])
    assert "no output depends on it" in graph.names["c"].reason
    for name in ("b", "d", "e", "f"):
        assert np.array_equal(graph.codes(x)[name] / 4, want[name])


def test_scales_follow_their_channels(tmp_path: Path, rng: np.random.Generator) -> None:
    """Per-channel scales through a slice, a gather and a split, and the real input before its quantizer."""
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "c"),
        node("Slice", "c one six axis", "d"),
        node("Gather", "d order", "g", axis=1),
        node("Split", "g parts", "h i", axis=1),
        node("Transpose", "h", "t", perm=[0, 2, 1]),
        node("QuantizeLinear", "t u v", "y"),
    ]
    constants = {
        "s": floats(0.25, 0.5, 0.75, 1), "z": np.array([0, 1, 2, 3], np.int8), "one": ints(1), "six": ints(6),
        "axis": ints(2), "order": ints(3, 0, 2, 1, 1), "parts": ints(3, 2), "u": F32(1),
        "v": np.array(0, np.int8),
    }  # fmt: skip
    path = write(tmp_path, nodes, constants, ("N", 4, 6), opset=13)
    x = (rng.integers(-64, 64, (9, 4, 6)) / 4).astype(F32)
    found, want = file_codes(load(path), x), tensors(path, x)
    for name in ("q", "d", "g", "h", "i", "t", "y"):
        if name in found:
            assert np.array_equal(found[name].astype(F32), want[name].astype(F32)), name


def test_quantized_weights_keep_their_integers(tmp_path: Path, rng: np.random.Generator) -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "a"),
        node("DequantizeLinear", "w ws wz", "wd", axis=1),
        node("Slice", "wd b e", "wc"),
        node("Split", "wc", "wl wr", axis=1),
        node("MatMul", "a wl", "m"),
        node("QuantizeLinear", "m s z", "y"),
    ]
    constants = {
        "s": F32(0.5), "z": np.array(3, np.int8), "w": rng.integers(-9, 9, (6, 4)).astype(np.int8),
        "ws": floats(0.5, 0.25, 1, 2), "wz": np.zeros(4, np.int8), "b": ints(1), "e": ints(6),
    }  # fmt: skip
    path = write(tmp_path, nodes, constants, ("N", 5), opset=13)
    x = (rng.integers(-64, 64, (9, 5)) / 4).astype(F32)
    assert np.array_equal(load(path).run(x), tensors(path, x)["y"])


ERRORS: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "slice of the batch": (*sliced(1, 2, 0), "batch axis; use another"),
    "slice of nothing": (*sliced(2, 2, 1), "leaves nothing of axis 1"),
    "slice without ends": (*sliced(2), "'ends' is missing"),
    "slice by 0": (*sliced(0, 2, 1, 0), "and no step 0"),
    "slice of axis 9": (*sliced(2, 3, 9), "has axis 9 for 4 axes"),
    "gather beyond": (one("Gather", "i", axis=1), {"i": ints(7)}, r"takes 7\.\.7 of 4 elements; use -4\.\.3"),
    "gather at an activation": (
        [node("Cast", "x", "i", to=1), *one("Gather", "i")],
        {},
        "batch axis|constant index",
    ),
    "gather the batch": (one("Gather", "i"), {"i": ints(0)}, "works along the batch axis"),
    "split": ([node("Split", "x k", "y v", axis=1)], {"k": ints(1, 2)}, r"splits 4 elements into \(1, 2\)"),
    "blocks": (one("DepthToSpace", "", blocksize=3), {}, "makes blocks of 3x3 from 4 channels"),
    "blocks of a size": (
        one("SpaceToDepth", "", blocksize=4),
        {},
        "cuts 6x6 into blocks of 4; use a divisor",
    ),
    "block mode": (one("DepthToSpace", "", blocksize=2, mode="X"), {}, "mode 'X' for a tensor.*DCR or CRD"),
    "expand": (
        one("Expand", "k"),
        {"k": ints(2, 4, 6, 6)},
        r"expands \(1, 4, 6, 6\) to \(2, .*keep the batch",
    ),
    "expand to another": (one("Expand", "k"), {"k": ints(3, 6, 6)}, "expands"),
    "tile": (one("Tile", "k"), {"k": ints(2, 1, 1, 1)}, "1 for the batch"),
    "cubic": (*scaled((1, 1, 2, 2), mode="cubic"), "use nearest or linear"),
    "crop": (
        *scaled((1, 1, 2, 2), coordinate_transformation_mode="tf_crop_and_resize"),
        "has coordinate_transformation_mode 'tf_crop_and_resize'; use",
    ),
    "antialias": (*scaled((1, 1, 2, 2), antialias=1), "has antialias = 1; use"),
    "nearest mode": (*scaled((1, 1, 2, 2), nearest_mode="x"), "nearest_mode 'x'"),
    "scales of another rank": (*scaled((2, 2)), "give 4 positive numbers"),
    "sizes of the batch": (
        one("Resize", "r r k"),
        {"r": floats(), "k": ints(2, 4, 6, 6)},
        "resizes the batch axis",
    ),
    "ratio": (
        one("Resize", "r r k", keep_aspect_ratio_policy="keep"),
        {"r": floats(), "k": ints(1, 4, 9, 8)},
        "has keep_aspect_ratio_policy 'keep'; use one of stretch",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(tmp_path: Path, case: str) -> None:
    nodes, constants, message = ERRORS[case]
    path = write(tmp_path, nodes, constants, (1, 4, 6, 6), opset=18)
    with pytest.raises(ValueError, match=message) as error:
        load(path, input=SQ(4, 2))
    assert str(error.value).startswith("node 'n_y'")


def test_real_input(tmp_path: Path, rng: np.random.Generator) -> None:
    """The host quantizes before the wiring, which is then the graph's."""
    nodes = [
        node("Slice", "x b e a", "c"),
        node("Split", "c", "l r", axis=1),
        node("QuantizeLinear", "l s z", "q"),
        node("QuantizeLinear", "r s z", "p"),
        node("Concat", "p q", "y", axis=1),
    ]
    constants = {"s": F32(0.5), "z": np.array(3, np.int8), "b": ints(1), "e": ints(5), "a": ints(1)}
    path = write(tmp_path, nodes, constants, ("N", 6, 2), opset=13)
    x = (rng.integers(-64, 64, (9, 6, 2)) / 4).astype(F32)
    assert np.array_equal(load(path).run(x), tensors(path, x)["y"])


def test_where_float32_chooses_another_element(tmp_path: Path) -> None:
    attributes = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "floor"}
    nodes = [node("Resize", "x r r k", "y", **attributes)]
    path = write(tmp_path, nodes, {"r": floats(), "k": ints(1, 1, 1)}, (1, 1, 7), opset=13)
    with pytest.raises(
        ValueError, match=r"resizes 7 to 1, where float32 chooses other elements.*use an integer"
    ):
        load(path, input=SQ(4, 2))


def test_blending_refuses_scales_along_its_axis(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q", axis=2),
        node("DequantizeLinear", "q s z", "d", axis=2),
        node("Resize", "d r k", "y", mode="linear"),
    ]
    constants = {"s": floats(1, 2), "z": np.zeros(2, np.int8), "r": floats(), "k": floats(1, 1, 2)}
    path = write(tmp_path, nodes, constants, ("N", 3, 2), opset=13)
    with pytest.raises(ValueError, match="blends codes of unequal scales; use one scale per tensor"):
        load(path)
