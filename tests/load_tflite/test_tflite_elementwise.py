"""Sums, products, activations and softmax of random codes against LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_writer import Writer, equal

OPTIONS = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}


def draw(rng: np.random.Generator, low: float = 1e-3, high: float = 0.2) -> tuple[np.float32, int]:
    return np.float32(np.exp(rng.uniform(np.log(low), np.log(high)))), int(rng.integers(-128, 128))


def binary(
    rng: np.random.Generator, path: Path, op: str, a: tuple[int, ...], b: tuple[int, ...], fixed: str = "",
    fused: int = 0, like: bool = False,
) -> Path:  # fmt: skip
    w = Writer()
    (sa, za), (sb, zb) = draw(rng), draw(rng)
    if like:
        sb, zb = sa, za
    made = []
    for name, shape, s, z in (("a", a, sa, za), ("b", b, sb, zb)):
        if name in fixed:
            made.append(w.constant(name, rng.integers(-128, 128, shape, dtype=np.int8), s, z))
        else:
            made.append(w.tensor(name, shape, s, z))
    out = (sa, za) if like else draw(rng, 0.02, 0.5)
    y = w.tensor("y", np.broadcast_shapes(a, b), *out)
    kind = OPTIONS.get(op)
    if kind:
        w.op(op, made, [y], kind=kind, fusedActivationFunction=fused)
    else:
        w.op(op, made, [y], kind="MaximumMinimumOptions")
    w.ends([m for m, n in zip(made, "ab", strict=True) if n not in fixed], [y])
    return w.save(path)


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("fused", range(4))
@pytest.mark.parametrize(
    ("a", "b", "fixed"),
    [
        ((1, 3, 3, 2), (1, 3, 3, 2), ""),
        ((1, 3, 3, 2), (1, 1, 1, 2), ""),
        ((1, 3, 3, 2), (2,), "b"),
        ((1, 1, 3, 2), (1, 3, 1, 2), "b"),
        ((1,), (1, 3, 3, 2), "a"),
        ((1, 4), (1, 4), ""),
    ],
)
def test_arithmetic(
    rng: np.random.Generator, tmp_path: Path, op: str, fused: int, a: Any, b: Any, fixed: str
) -> None:
    equal(rng, binary(rng, tmp_path / "b.tflite", op, a, b, fixed, fused), 60)


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
def test_every_pair_of_codes(rng: np.random.Generator, tmp_path: Path, op: str) -> None:
    for k in range(4):
        path = binary(rng, tmp_path / f"{k}.tflite", op, (1, 256), (1, 256), "", 0)
        from tflite_writer import litert

        import fxsim

        graph = fxsim.load(path)
        codes = np.arange(-128, 128)
        a, b = np.tile(codes, (256, 1)), np.repeat(codes[:, None], 256, 1)
        assert np.array_equal(graph.run_raw(a, b), litert(path, a, b)["y"][:, 0])


@pytest.mark.parametrize("op", ["MAXIMUM", "MINIMUM"])
@pytest.mark.parametrize("fixed", ["", "b"])
def test_extrema(rng: np.random.Generator, tmp_path: Path, op: str, fixed: str) -> None:
    equal(rng, binary(rng, tmp_path / "m.tflite", op, (1, 3, 4), (1, 3, 4), fixed, like=True), 60)
    equal(rng, binary(rng, tmp_path / "m.tflite", op, (1, 3, 4), (1, 1, 4), fixed, like=True), 60)


def unary(
    path: Path, op: str, x: Any, y: Any, shape: Any = (1, 256), made: Any = None, **options: Any
) -> Path:
    w = Writer()
    a, b = w.tensor("x", shape, *x), w.tensor("y", made or shape, *y)
    w.op(op, [a], [b], **options)
    w.ends([a], [b])
    return w.save(path)


def every_code(path: Path, rng: np.random.Generator, *resolver: Any) -> Any:
    """Each of the 256 codes in its place, and random ones."""
    from tflite_writer import litert

    import fxsim

    graph = fxsim.load(path)
    raw = np.concatenate([np.arange(-128, 128)[None], rng.integers(-128, 128, (3, 256))])
    want = litert(path, raw, **({"resolver": resolver[0]} if resolver else {}))
    assert np.array_equal(graph.run_raw(raw), want["y"][:, 0])
    return graph


@pytest.mark.parametrize("op", ["RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "QUANTIZE"])
def test_clamps_and_requantization(rng: np.random.Generator, tmp_path: Path, op: str) -> None:
    kind = {"kind": "QuantizeOptions"} if op == "QUANTIZE" else {}
    for k in range(12):
        x = draw(rng)
        y = x if k == 0 else draw(rng)
        every_code(unary(tmp_path / "u.tflite", op, x, y, **kind), rng)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.3, 1.5, 1e-6])
def test_leaky_relu(rng: np.random.Generator, tmp_path: Path, alpha: float) -> None:
    for _ in range(6):
        path = unary(
            tmp_path / "l.tflite", "LEAKY_RELU", draw(rng), draw(rng), kind="LeakyReluOptions", alpha=alpha
        )
        every_code(path, rng)


def test_hard_swish(rng: np.random.Generator, tmp_path: Path) -> None:
    for _ in range(30):
        every_code(
            unary(
                tmp_path / "h.tflite", "HARD_SWISH", draw(rng), draw(rng, 0.01, 0.3), kind="HardSwishOptions"
            ),
            rng,
        )


def test_logistic(rng: np.random.Generator, tmp_path: Path) -> None:
    for _ in range(25):
        graph = every_code(unary(tmp_path / "s.tflite", "LOGISTIC", draw(rng), (1 / 256, -128)), rng)
        assert graph.blocks[0].kind == "logistic"


def test_tanh(rng: np.random.Generator, tmp_path: Path) -> None:
    for _ in range(25):
        every_code(unary(tmp_path / "t.tflite", "TANH", draw(rng), (1 / 128, 0)), rng)


def test_elu_and_gelu(rng: np.random.Generator, tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # the reference set has no kernel for ELU
    for _ in range(15):
        every_code(unary(tmp_path / "e.tflite", "ELU", draw(rng), draw(rng)), rng, plain)
        for approximate in (False, True):
            options = {"kind": "GeluOptions", "approximate": approximate}
            every_code(unary(tmp_path / "g.tflite", "GELU", draw(rng), draw(rng), **options), rng)


@pytest.mark.parametrize("shape", [(5,), (1, 1, 5), (3, 2, 5), (3, 1, 1)])
def test_prelu(rng: np.random.Generator, tmp_path: Path, shape: tuple[int, ...]) -> None:
    for _ in range(4):
        w = Writer()
        x, y = w.tensor("x", (1, 3, 2, 5), *draw(rng)), w.tensor("y", (1, 3, 2, 5), *draw(rng))
        a = w.constant("alpha", rng.integers(-128, 128, shape, dtype=np.int8), *draw(rng))
        w.op("PRELU", [x, a], [y])
        w.ends([x], [y])
        equal(rng, w.save(tmp_path / "p.tflite"), 60)


@pytest.mark.parametrize("classes", [1, 2, 3, 12, 100])
def test_softmax(rng: np.random.Generator, tmp_path: Path, classes: int) -> None:
    for k in range(5):
        x = draw(rng, 1e-3, 1.0)
        path = unary(
            tmp_path / "s.tflite", "SOFTMAX", x, (1 / 256, -128), (1, classes), kind="SoftmaxOptions",
            beta=1.0 if k % 2 else float(rng.uniform(0.1, 3)),
        )  # fmt: skip
        equal(rng, path, 60)


def test_softmax_over_the_last_axis_only(rng: np.random.Generator, tmp_path: Path) -> None:
    path = unary(
        tmp_path / "s.tflite",
        "SOFTMAX",
        (0.1, 3),
        (1 / 256, -128),
        (1, 2, 3, 5),
        kind="SoftmaxOptions",
        beta=1.0,
    )
    equal(rng, path, 50)


def test_softmax_of_two_equal_and_of_far_classes(tmp_path: Path) -> None:
    from tflite_writer import litert

    import fxsim

    path = unary(
        tmp_path / "s.tflite", "SOFTMAX", (0.04, 0), (1 / 256, -128), (1, 3), kind="SoftmaxOptions", beta=1.0
    )
    codes = np.arange(-128, 128)
    raw = np.stack([np.full(256, 5), codes, codes[::-1]], 1)
    assert np.array_equal(fxsim.load(path).run_raw(raw), litert(path, raw)["y"][:, 0])


def test_operands_with_and_without_a_batch_axis(rng: np.random.Generator, tmp_path: Path) -> None:
    w = Writer()
    x = w.tensor("x", (1, 3, 4), 0.1, 3)
    flat, last = w.tensor("flat", (3, 4), 0.1, 3), w.tensor("last", (4,), 0.1, 3)
    w.op("RESHAPE", [x, w.integers("s", [3, 4])], [flat])
    ends = [w.integers(f"e{i}", v) for i, v in enumerate(([1, 0], [2, 4], [1, 1]))]
    w.op("STRIDED_SLICE", [flat, *ends], [last], kind="StridedSliceOptions", shrinkAxisMask=1)
    rows = w.constant("rows", rng.integers(-128, 128, (2, 1, 4), dtype=np.int8), 0.07, -9)
    sums = [(x, last, (1, 3, 4)), (flat, x, (1, 3, 4)), (flat, last, (3, 4)), (rows, x, (2, 3, 4))]
    sums.append((rows, flat, (2, 3, 4)))
    made = [w.tensor(f"y{i}", shape, 0.2, -5) for i, (_, _, shape) in enumerate(sums)]
    for (a, b, _), y in zip(sums, made, strict=True):
        w.op("ADD", [a, b], [y], kind="AddOptions")
    w.ends([x], made)
    equal(rng, w.save(tmp_path / "b.tflite"), 20)


def test_a_batch_of_several_samples_is_kept_apart(rng: np.random.Generator, tmp_path: Path) -> None:
    import fxsim

    w = Writer()
    x, y = w.tensor("x", (2, 3, 4), 0.1, 3), w.tensor("y", (2, 3, 4), 0.2, 3)
    rows = w.constant("rows", rng.integers(-128, 128, (2, 1, 4), dtype=np.int8), 0.07, -9)
    w.op("ADD", [x, rows], [y], kind="AddOptions")
    w.ends([x], [y])
    with pytest.raises(ValueError, match=r"joins shapes \(2, 3, 4\) and \(2, 1, 4\) over the batch axis"):
        fxsim.load(w.save(tmp_path / "b.tflite"))
    w = Writer()
    x, y = w.tensor("x", (1, 3, 4), 0.1, 3), w.tensor("y", (1, 3, 4), 0.2, 3)
    w.op("ADD", [x, w.constant("c", np.ones((1, 5), np.int8), 0.1)], [y], kind="AddOptions")
    w.ends([x], [y])
    with pytest.raises(ValueError, match=r"joins shapes \(1, 3, 4\) and \(1, 5\); they must broadcast"):
        fxsim.load(w.save(tmp_path / "c.tflite"))
