"""`fxsim profile`: hand-counted figures, the real reading against exact graphs, the picture, the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fxsim
from fxsim import ops
from fxsim.cli import main
from fxsim.compare import profile
from fxsim.compare.plot import plot
from fxsim.compare.real import real_rules
from fxsim.data import digits_model, digits_samples
from fxsim.emulate import evaluate
from tests.agreement.random_graphs import Generator, stimulus


def test_hand_counted() -> None:
    """y = 3 x of four bits, then a saturating cast to 3 bits: every figure by hand."""
    fmt = fxsim.UQ(1, 2, rounding="RND", overflow="SAT")  # codes 0..7 of 1/4

    def network(x: fxsim.Tensor) -> fxsim.Tensor:
        return (x * 3).named("product").cast(fmt).named("cast")

    graph = fxsim.trace(network, fxsim.UQ(1, 3), shape=(2,))
    x = np.array([[0.0, 0.25], [0.125, 0.25], [1.0, 0.25]])
    product, cast = profile(graph, [x])
    assert (product.name, cast.name) == ("product", "cast")
    assert (product.width, product.low, product.high) == (6, 0, 24)
    assert (product.proven_low, product.proven_high) == (0, 45)
    # 0, 3, 24, 6 of eighths: five bits, none of them always 0.
    assert (product.needed, product.dead, product.constant) == (5, 1, 1)
    assert product.saturated_low is product.saturated_high is None
    assert (product.error_max, product.error_rms, product.sqnr) == (0.0, 0.0, np.inf)
    # Of 0, 3/8, 3, 3/4 the casts are 0, 1/2, 7/4 (clipped in the yardstick too), 3/4.
    np.testing.assert_array_equal(cast.codes, [[0, 3], [2, 3], [7, 3]])
    assert (cast.saturated_low, cast.saturated_high) == (0.0, 1 / 6)
    assert (cast.error_max, cast.error_rms) == (0.125, (0.125**2 / 6) ** 0.5)
    wanted = np.array([0, 3 / 8, 7 / 4, 3 / 4, 3 / 4, 3 / 4])
    assert cast.sqnr == 10 * float(np.log10(np.mean(wanted**2) / (0.125**2 / 6)))


@pytest.mark.parametrize("seed", range(60))
def test_the_real_reading_is_exact_where_nothing_is_lost(seed: int) -> None:
    """Up to the first lossy op of a random graph, float64 holds the same codes (those of up to 53 bits)."""
    graph = Generator(seed).graph()
    raw = stimulus(graph, 8)
    exact_ = evaluate(graph, raw)
    real = real_rules.fold(graph, [np.asarray(r, np.float64) for r in raw])
    lossy: set[object] = set()
    for v in graph.values[len(graph.inputs) :]:
        narrow = all(n.type.max_width <= 50 for n in (v, *v.args))  # type: ignore[attr-defined]
        loses = isinstance(v.op, (ops.Cast, ops.Accumulate, ops.Div))  # type: ignore[attr-defined]
        if loses or not narrow or any(a in lossy for a in v.args):  # type: ignore[attr-defined]
            lossy.add(v)
        else:
            np.testing.assert_array_equal(real[v], exact_[v].astype(np.float64))


def test_every_op_has_a_rule() -> None:
    assert real_rules.missing() == []


def test_float_scales_in_real_values() -> None:
    """The rescale blocks' yardstick is the real network: errors are at most half a step plus what came in."""
    graph = fxsim.load(digits_model("digits_mlp_w4a4_floatscale_bn"))
    images, _ = digits_samples()
    found = {t.name: t for t in profile(graph, [images])}
    step = float(graph.names["Quant_3_out0"].affine.scale[0])
    first = found["Quant_3_out0"]
    assert 0 < first.error_max <= step / 2 and first.sqnr > found["global_out"].sqnr > 10
    assert found["Quant_4_out0"].saturated_low is not None and found["Quant_4_out0"].saturated_low > 0.3
    assert found["MatMul_0_out0"].dead == 1


def test_picture(tmp_path: Path) -> None:
    graph = fxsim.load(digits_model("digits_mlp_w4a4_pow2"))
    tensors = profile(graph, [digits_samples()[0][:50]])
    text = plot(tmp_path / "p.svg", tensors, "digits").read_text()
    assert text.count("<svg") == 1 and "Quant_8_out0" in text and "SQNR" in text
    assert plot(tmp_path / "p.png", tensors).read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match=r"picture must end in .svg, .png, .pdf, not 'p.gif'"):
        plot(tmp_path / "p.gif", tensors)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.png", "p.svg"]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "x.npz"
    np.savez(data, digits_samples()[0])
    model = str(digits_model("digits_mlp_w4a4_pow2"))
    assert main(["profile", model, str(data), "--samples", "20", "--plot", str(tmp_path / "p.svg")]) == 0
    out = capsys.readouterr().out
    assert "Quant_7_out0" in out and "written:" in out and (tmp_path / "p.svg").exists()
    assert main(["profile", model, str(data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples"] == 500 and len(found["tensors"]) == 8
    last = found["tensors"][-1]
    assert last["tensor"] == "global_out" and last["bits"] == 16 and last["dead bits"] == 1


def test_bad_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(digits_model("digits_mlp_w4a4_pow2"))
    np.save(tmp_path / "none.npy", np.zeros((0, 64)))
    assert main(["profile", model, str(tmp_path / "none.npy")]) == 2
    assert "must hold as many samples of each input, at least one" in capsys.readouterr().err
    np.save(tmp_path / "nan.npy", np.full((1, 64), np.nan))
    assert main(["check", model, str(tmp_path / "nan.npy")]) == 2
    assert "must be finite" in capsys.readouterr().err
