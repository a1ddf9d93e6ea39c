"""hls4ml projects: the C simulation equals the emulator, types are as planned, folders whole or absent."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

import hls
from fxsim import Format, Graph, Overflow, Rounding, concat, ops, trace
from fxsim.integers import IntArray
from fxsim.trace import Tensor

EXACT_OVERFLOWS = (Overflow.WRAP, Overflow.SAT, Overflow.SAT_ZERO, Overflow.SAT_SYM)


def codes(graph: Graph, rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    """n samples of every input: random codes and the ends of the range."""
    out = []
    for node in graph.inputs:
        lo, hi = node.type.bounds
        width, shape = (hi - lo + 1).bit_length() + 8, (n, *node.type.shape)
        size = int(np.prod(shape))
        draws = [
            lo + int.from_bytes(rng.bytes(width // 8 + 1), "little") % (hi - lo + 1) for _ in range(size)
        ]
        draws[:2] = [lo, hi]
        out.append(np.array(draws, object).reshape(shape))
    return tuple(out)


def check(
    graph: Graph, folder: Path, rng: np.random.Generator, n: int = 50, backend: str = "Vitis"
) -> hls.Project:
    """Export, simulate, compare: raw codes by the project's own entry, and values by hls4ml's predict."""
    project = hls.export(graph, folder, backend, "check")
    raw = codes(graph, rng, n)
    expected, got = graph.run_raw(*raw), project.predict_raw(*raw)
    single = not isinstance(expected, tuple)
    for a, b in zip([expected] if single else expected, [got] if single else got, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype and a.shape == b.shape
    if all(node.type.max_width <= 53 for node in (*graph.inputs, *graph.outputs)):
        reals = [
            np.ldexp(r.astype(float), -i.type.frac).reshape(n, -1)
            for r, i in zip(raw, graph.inputs, strict=True)
        ]
        theirs = project.model.predict(reals[0] if len(reals) == 1 else reals)
        ours = graph.run(*(r.reshape(n, *i.type.shape) for r, i in zip(reals, graph.inputs, strict=True)))
        for a, b in zip([ours] if single else ours, [theirs] if single else theirs, strict=True):
            np.testing.assert_array_equal(a.reshape(n, -1), np.asarray(b).reshape(n, -1))
    return project


def mlp(x: Tensor) -> Tensor:
    rng = np.random.default_rng(1)
    with x.builder.block("flatten", "flat", [x]) as out:
        h = x.reshape(-1)
        out.append(h)
    for k, n in enumerate((8, 6, 4)):
        with x.builder.block("dense", f"fc{k}", [h]) as out:
            h = h @ (rng.integers(-7, 8, (h.shape[0], n)) / 16) + rng.integers(-30, 30, n) / 64
            out.append(h)
        if n == 4:
            return h
        with x.builder.block("relu", f"relu{k}", [h]) as out:
            h = h.relu()
            out.append(h)
        with x.builder.block("quantize", f"quant{k}", [h]) as out:
            h = h.cast(Format(4, 2, False, Rounding.RND_CONV, Overflow.SAT))
            out.append(h)


@pytest.mark.parametrize("backend", ["Vitis", "Vivado"])
def test_mlp_is_all_hls4ml_layers(tmp_path: Path, rng: np.random.Generator, backend: str) -> None:
    graph = trace(mlp, Format(5, 1, False), shape=(3, 4))
    project = check(graph, tmp_path / "p", rng, backend=backend)
    assert [(r["name"], r["layer"]) for r in project.layers()] == [
        ("flat", "hls4ml Reshape"),
        ("fc0", "hls4ml Dense"),
        ("relu0", "hls4ml Activation (relu)"),
        ("fc1", "hls4ml Dense"),
        ("relu1", "hls4ml Activation (relu)"),
        ("fc2", "hls4ml Dense"),
    ]
    assert project.report().splitlines()[3].split()[:4] == ["relu0", "hls4ml", "Activation", "(relu)"]
    x = rng.integers(0, 32, (3, 4)) / 16
    np.testing.assert_array_equal(project.predict(x), graph.run(x))


def test_every_type_that_an_assignment_can_do(tmp_path: Path, rng: np.random.Generator) -> None:
    def network(x: Tensor) -> tuple[Tensor, ...]:
        w = rng.integers(-8, 8, (3, 4))
        outputs = []
        for rounding, overflow in itertools.product(Rounding, EXACT_OVERFLOWS):
            outputs.append((x @ (w / 8)).relu().cast(Format(3, 1, False, rounding, overflow)))
            outputs.append((x @ (w / 8)).cast(Format(3, 2, True, rounding, overflow)))
        return tuple(outputs)

    project = check(trace(network, Format(5, 2), shape=(3,)), tmp_path / "p", rng)
    generated = [r["outputs"] for r in project.layers() if r["layer"] == "generated"]
    assert len(generated) == 2 * len(EXACT_OVERFLOWS)  # RND_CONV_ODD, which ap_fixed does not have


def constant(like: Tensor, raw: object, frac: int) -> Tensor:
    return like.builder.apply(ops.Const(IntArray(raw), frac))


def test_weights_of_every_point_are_exact(tmp_path: Path, rng: np.random.Generator) -> None:
    fracs = (-30, -3, 0, 1, 7, 30, 60)

    def network(x: Tensor) -> tuple[Tensor, ...]:
        weights = [constant(x, rng.integers(-8, 8, (3, 2)) | 1, f) for f in fracs]
        return tuple(x @ w + constant(x, [5, -9], f + x.frac) for w, f in zip(weights, fracs, strict=True))

    project = check(trace(network, Format(6, 9), shape=(3,)), tmp_path / "p", rng)
    assert [r["layer"] for r in project.layers()] == ["hls4ml Dense"] * len(fracs)


def test_runs_between_exact_layers_are_one_generated_layer_each(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    levels = np.sort(rng.integers(-60, 60, (4, 7)), axis=1)

    def network(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        h = (x @ rng.integers(-4, 5, (6, 4)))._apply(
            ops.Threshold(IntArray(levels), 0, IntArray([0, 1, 0, 0]))
        )
        h = concat([h, y.reshape(2)])
        z = h * h - 3
        out = z @ rng.integers(-3, 4, (6, 3))
        return out, out.argmax().reshape(1), z.max(), h, y

    graph = trace(network, Format(4, 4), Format(3, 2, False), shape=[(6,), (1, 2)])
    project = check(graph, tmp_path / "p", rng)
    kinds = [r["layer"].split()[0] for r in project.layers()]
    assert kinds[:4] == ["hls4ml", "generated", "hls4ml", "generated"]
    assert "ap_fixed" in project.report()


def test_outputs_of_every_kind(tmp_path: Path, rng: np.random.Generator) -> None:
    """An input, a constant, one tensor twice, a tensor that is also read, a scalar, a reshape."""

    def network(x: Tensor) -> tuple[object, ...]:
        h = x.relu()
        d = h @ np.eye(3, dtype=int)
        return x, constant(x, [1, -2], 3), d, d, h, x.sum(), (x + 1).reshape(3, 1)

    check(trace(network, Format(4, 4), shape=(3,)), tmp_path / "p", rng)


def test_scalars_and_names_that_cpp_reserves(tmp_path: Path, rng: np.random.Generator) -> None:
    def network(input: Tensor, double: Tensor, w4: Tensor, inputs: Tensor) -> Tensor:
        h = (input * double).named("class") + w4 + inputs
        return h.reshape(1) @ [[3, 4]]

    graph = trace(
        network, Format(4, 1), Format(5, 7, False), Format(3, 3), Format(3, 3), output_names=["int"]
    )
    check(graph, tmp_path / "p", rng)


def test_lanes_beyond_63_bits_cross_in_limbs(tmp_path: Path, rng: np.random.Generator) -> None:
    graph = trace(lambda a, b: (a * b, a @ [[1], [2]]), Format(90, 9), Format(64, 64, False), shape=(2,))
    check(graph, tmp_path / "p", rng)
    far = trace(lambda a, n: a << n, Format(6, 3), Format(11, 11, False))
    check(far, tmp_path / "far", rng, 10)


def test_project_is_deterministic_and_replaces_only_its_own(tmp_path: Path) -> None:
    graph = trace(mlp, Format(5, 1, False), shape=(3, 4))
    hls.export(graph, tmp_path / "p")
    first = {p: p.read_bytes() for p in (tmp_path / "p").rglob("*") if p.is_file()}
    old = hls.export(graph, tmp_path / "p")
    assert {p: p.read_bytes() for p in (tmp_path / "p").rglob("*") if p.is_file()} == first
    hls.export(trace(lambda x: x + 1, Format(3, 3)), tmp_path / "p")
    with pytest.raises(RuntimeError, match="does not hold this project any more"):
        old.predict(np.zeros((3, 4)))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(FileExistsError, match="choose another"):
        hls.export(graph, tmp_path / "other")


@pytest.mark.parametrize("drawn", ["12345678", "1e5", "0x12", "null"])
def test_project_does_not_depend_on_the_stamp_that_hls4ml_draws(
    drawn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """YAML writes a text that looks like a number in quotes."""
    import uuid

    from hls.model import SETTINGS

    graph = trace(lambda x: x + 1, Format(3, 3))
    hls.export(graph, tmp_path / "p")
    before = (tmp_path / "p" / SETTINGS).read_bytes()
    monkeypatch.setattr(uuid, "uuid4", lambda: drawn)
    hls.export(graph, tmp_path / "p")
    assert (tmp_path / "p" / SETTINGS).read_bytes() == before


def test_interrupted_export_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hls.model import FxsimModel

    graph = trace(lambda x: x + 1, Format(3, 3))
    hls.export(graph, tmp_path / "kept")

    def interrupted(self: FxsimModel, folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FxsimModel, "_stamp", interrupted)
    before = (tmp_path / "kept" / "build_lib.sh").read_text()
    for folder in ("kept", "new"):
        with pytest.raises(KeyboardInterrupt):
            hls.export(graph, tmp_path / folder)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "build_lib.sh").read_text() == before


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    graph = trace(mlp, Format(5, 1, False), shape=(3, 4))
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        hls.export(graph, tmp_path / "file")
    with pytest.raises(OSError, match="cannot be made"):
        hls.export(graph, tmp_path / "file" / "p")
    with pytest.raises(ValueError, match="backend must be one of"):
        hls.export(graph, tmp_path / "p", backend="oneAPI")
    with pytest.raises(ValueError, match="no empty inputs"):
        hls.export(trace(lambda x: x[:0], Format(3, 3), shape=(2,)), tmp_path / "p")
    with pytest.raises(ValueError, match="identifier"):
        hls.source(graph, "not a name")
    project = hls.export(graph, tmp_path / "p")
    with pytest.raises(
        ValueError, match=r"input 'x' must have shape \('batch', 3, 4\) or \(3, 4\), not \(6, 8\)"
    ):
        project.predict(np.zeros((6, 8)))
    with pytest.raises(TypeError, match="2 were given"):
        project.predict(np.zeros((3, 4)), 1)


def test_missing_tools_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = trace(lambda x: x + 1, Format(3, 3))
    project = hls.export(graph, tmp_path / "p")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"needs g\+\+ on the PATH"):
        project.predict_raw(np.zeros(2, int))
    with pytest.raises(FileNotFoundError, match=r"needs g\+\+ on the PATH"):
        hls.compile_graphs([graph])
    monkeypatch.delitem(sys.modules, "hls.model")
    monkeypatch.setitem(sys.modules, "hls4ml", None)
    for name in [n for n in sys.modules if n.startswith("hls4ml.")] + ["hls.layers"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r"hls\.export needs hls4ml"):
        hls.export(graph, tmp_path / "q")


def test_a_type_that_hls4ml_changed_is_an_error(tmp_path: Path) -> None:
    from hls.model import model_graph
    from hls.plan import Planner
    from hls.verify import verify
    from hls.wiring import wires

    plan = Planner(trace(mlp, Format(5, 1, False), shape=(3, 4))).plan()
    model = model_graph(plan, "check", tmp_path / "p")
    model.graph["fc1"].types["accum_t"].precision.width -= 1
    with pytest.raises(RuntimeError, match="changed the accum type of layer fc1"):
        verify(model, plan, wires(plan))


def random_network(rng: np.random.Generator, x: Tensor) -> list[Tensor]:
    """Layers that hls4ml has, between ops that it has not, with tensors read twice now and then."""
    h, outputs = x.reshape(-1), []
    for _ in range(7):
        step = rng.integers(7)
        if step == 0 and h.ndim == 1:
            h = h @ constant(h, rng.integers(-4, 5, (h.shape[0], 3)), int(rng.integers(-1, 4)))
        elif step == 1:
            h = h + constant(h, rng.integers(-9, 10, h.shape), h.frac + int(rng.integers(0, 3)))
        elif step == 2:
            h = h.relu()
        elif step == 3:
            h = h.reshape((h.type.size, 1) if h.ndim == 1 else -1).relu()
        elif step == 4:
            h = abs(h) - h
        elif step == 6:
            h = h._apply(ops.Shift(int(rng.integers(0, 3))))
        rounding, overflow = list(Rounding)[rng.integers(8)], EXACT_OVERFLOWS[rng.integers(4)]
        if h.type.max_width > 12 or step == 5:
            h = h.cast(Format(5, int(rng.integers(-2, 8)), bool(rng.integers(2)), rounding, overflow))
        if rng.integers(4) == 0:
            outputs.append(h)
    return [*outputs, h]


def test_random_networks(tmp_path: Path, rng: np.random.Generator) -> None:
    def networks(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        return tuple(o for k in range(12) for o in random_network(rng, (x, y)[k % 2]))

    graph = trace(networks, Format(5, 2), Format(4, 4, False), shape=[(2, 2), (3,)])
    project = check(graph, tmp_path / "p", rng)
    assert {r["layer"] for r in project.layers()} >= {
        "hls4ml Dense",
        "hls4ml Activation (relu)",
        "hls4ml Reshape",
        "generated",
    }
