"""Binary layers, FracBNN and AdderNet: worked numbers, exact references, every reading, bad input."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest

from fxsim import SQ, UQ, TensorType, trace
from fxsim.layers import adder_net, fracbnn, xnor
from fxsim.quantizers import thermometer
from tests.agreement import readings
from tests.systems.units import Unit, every, pairs, same, together, with_corners

BIT, S8 = UQ(1, 0), SQ(8, 0)
RNG = np.random.default_rng(15)
W8, W16, W64 = (RNG.choice([-1, 1], size=s) for s in ((8, 3), (16, 4), (64, 1)))
W6, WC = RNG.choice([-1, 1], size=(6, 2)), RNG.choice([-1, 1], size=(2, 2, 1, 2))
BN = {
    "gamma": [-0.7, 1.25, 0.0, 0.5],
    "beta": [0.3, -0.2, -0.1, 0.0],
    "mu": [5.0, -3.5, 0.0, 4.0],
    "sigma": [2.5, 1.0, 1.0, 0.125],
}
WA = RNG.integers(-128, 128, size=(6, 3))
DELTA = [0.5, 4 / 3]
POST = fracbnn.PostConv(
    g0=[1.3, -7.99],
    b0=0.111,
    bx=[-1.0, 3.0],
    alpha=0.3,
    by=-0.7,
    g1=[0.9, -8.0],
    b1=[0.1, 9.0],
)


def popcount_dot(bits, weights):
    """n - 2 * popcount(bits xor weight bits)."""
    wrong = bits[..., :, None] ^ (weights == 1)[None]
    return bits.shape[-1] - 2 * wrong.sum(-2)


def bn_sign(dot):
    g, b, m, s = (np.array(BN[k], np.float64) for k in ("gamma", "beta", "mu", "sigma"))
    exact = [
        [
            int(Fraction(x) * (int(v) - Fraction(y)) / Fraction(z) + Fraction(w) >= 0)
            for x, w, y, z in zip(g, b, m, s, strict=True)
        ]
        for v in range(-16, 17)
    ]
    table = np.array(exact)
    return table[dot + 16, np.arange(4)]


def conv_reference(bits):
    size = bits.shape[1]
    out = np.zeros((len(bits), size + 1, size + 1, 2), np.int64)
    for i in range(size + 1):
        for j in range(size + 1):
            for di in range(2):
                for dj in range(2):
                    y, x = i + di - 1, j + dj - 1
                    if 0 <= y < size and 0 <= x < size:  # zero padding is not counted
                        out[:, i, j] += popcount_dot(bits[:, y, x], WC[di, dj])
    return out


def two_bit_reference(rounding):
    def of(raw):
        x = Fraction(int(raw), 64)
        v = (x + 1) * Fraction(3, 2)
        up = floor(v + Fraction(1, 2)) if rounding == "RND" else ceil(v - Fraction(1, 2))
        return min(max(up, 0), 3)

    codes = np.array([of(r) for r in range(-256, 256)])
    return lambda z: [codes[z + 256] >> 1, codes[z + 256] & 1]


def gated(dm, dl):
    """(dm, dl behind the gate, the gate, their sum in thirds), channels last."""
    limits = [Fraction(d) for d in DELTA]
    opens = {v: [int(Fraction(2 * v, 3) > limit) for limit in limits] for v in range(-8, 9)}
    gate = np.stack([np.vectorize(lambda v, c=c: opens[v][c])(dm[..., c]) for c in range(2)], axis=-1)
    return dm, dl * gate, gate, 2 * dm + dl * gate


def gated_conv_reference(msb, lsb):
    return gated(conv_reference(msb), conv_reference(lsb))[-1]


def cast(raw, frac, width=16, out_frac=7):
    """Round half up and saturate."""
    shift = frac - out_frac
    raw = raw << -shift if shift <= 0 else (raw + (1 << shift - 1)) >> shift
    return np.clip(raw, -(1 << width - 1), (1 << width - 1) - 1)


def parameter(values):
    raw = [floor(Fraction(v) * 256 + Fraction(1, 2)) for v in np.broadcast_to(values, 2).tolist()]
    return np.clip(np.array(raw), -2048, 2047)


def post_reference(dm, dl, shortcut):
    p = {k: parameter(getattr(POST, k)) for k in ("g0", "b0", "bx", "alpha", "by", "g1", "b1")}
    t = cast(cast(dm, 0) * 171, 15)
    t = cast((t << 8) + cast(dl, 0) * 85, 15)
    t = cast(p["g0"] * t + (p["b0"] << 7), 15)
    t = cast((t << 1) + p["bx"], 8)
    t = np.where(t < 0, cast(t * p["alpha"], 15), t)
    t = cast((t << 1) + p["by"], 8)
    u = cast(shortcut + t, 7)
    return cast(p["g1"] * u + (p["b1"] << 7), 15)


def fracnet(msb, lsb, shortcut):
    dot = fracbnn.gated_dot(msb, lsb, W6, DELTA)
    return dot.msb, dot.lsb, dot.open, dot.total, fracbnn.post_conv(dot, shortcut, POST)


def fracnet_reference(msb, lsb, shortcut):
    dm, dl, gate, total = gated(popcount_dot(msb, W6), popcount_dot(lsb, W6))
    return dm, dl, gate, total, post_reference(dm, dl, shortcut)


def downsample_reference(x):
    total = 0
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        total = np.clip(total + x[:, i::2, j::2], -32768, 32767)
    mean = (total + 2) >> 2
    return [np.concatenate([mean, mean], axis=-1)]


def thermometer_reference(pixels):
    counts = np.array([round(Fraction(p, 8)) for p in range(256)])
    return [(np.arange(32) < counts[pixels][..., None]).astype(int)]


def sad(x, w):
    return -abs(x[:, :, None] - w).sum(axis=1)


def units():
    """All of the area; the rows are all that there are, or 1e5 random ones and corners."""
    rng, n = np.random.default_rng(3), 100_000
    codes = np.arange(-128, 128)
    thermo = np.arange(256).reshape(-1, 1)
    gates = pairs(every(6), every(6))
    wide = with_corners(0, 1, (64,), n, rng)
    wide[100], wide[101] = W64[:, 0] == 1, W64[:, 0] != 1
    return [
        Unit(
            "xnor, both varying", ((BIT, (8,)), (BIT, (8,))),
            lambda a, b: [xnor.xnor_dot(a, b)],
            lambda a, b: [8 - 2 * (a ^ b).sum(-1)],
            pairs(every(8), every(8)),
        ),
        Unit(
            "xnor, weights by columns", ((BIT, (3,)), (BIT, (3, 2))),
            lambda a, b: [xnor.xnor_dot(a, b)],
            lambda a, b: [3 - 2 * (a[:, :, None] ^ b).sum(1)],
            (pairs(every(3), every(6))[0], pairs(every(3), every(6))[1].reshape(-1, 3, 2)),
        ),
        Unit(
            "xnor, constant", ((BIT, (8,)),),
            lambda a: [xnor.xnor_dot(a, W8), xnor.popcount(a)],
            lambda a: [popcount_dot(a, W8), a.sum(-1)],
            (every(8),),
        ),
        Unit(
            "xnor, 64 inputs", ((BIT, (64,)),),
            lambda a: [xnor.xnor_dot(a, W64)],
            lambda a: [popcount_dot(a, W64)],
            (wide,),
        ),
        Unit(
            "binary layer", ((BIT, (16,)),),
            lambda a: [xnor.xnor_layer(a, W16, **BN)],
            lambda a: [bn_sign(popcount_dot(a, W16))],
            (every(16),),
        ),
        Unit(
            "binary layer, loaded", ((BIT, (4,)), (BIT, (4, 2)), (SQ(4, 0), (2,)), (BIT, (2,))),
            lambda a, w, t, v: [xnor.loaded_sign(xnor.xnor_dot(a, w), t, v)],
            lambda a, w, t, v: [(4 - 2 * (a[:, :, None] ^ w).sum(1) >= t) ^ v],
            (
                pairs(every(4), every(8))[0], pairs(every(4), every(8))[1].reshape(-1, 4, 2),
                with_corners(-8, 7, (2,), 60_000, rng), with_corners(0, 1, (2,), 60_000, rng),
            ),
        ),
        Unit(
            "convolution", ((BIT, (3, 3, 1)),),
            lambda a: [xnor.xnor_conv(a, WC, padding=1)],
            lambda a: [conv_reference(a)],
            (every(9).reshape(-1, 3, 3, 1),),
        ),
        Unit(
            "gated convolution", ((BIT, (2, 2, 1)), (BIT, (2, 2, 1))),
            lambda m, n: [fracbnn.gated_conv(m, n, WC, DELTA, padding=1).total],
            lambda m, n: [gated_conv_reference(m, n)],
            tuple(b.reshape(-1, 2, 2, 1) for b in pairs(every(4), every(4))),
        ),
        Unit(
            "sign bits", ((SQ(3, 2), ()),),
            lambda x: [xnor.sign_bits(x)],
            lambda x: [(x >= 0) * 1],
            (np.arange(-16, 16),),
        ),
        Unit(
            "two bits", ((SQ(3, 6), ()),),
            lambda z: [*fracbnn.two_bit(z), *fracbnn.two_bit(z, "RND_MIN_INF")],
            lambda z: [*two_bit_reference("RND")(z), *two_bit_reference("RND_MIN_INF")(z)],
            (np.arange(-256, 256),),
        ),
        Unit(
            "fracnet", ((BIT, (6,)), (BIT, (6,)), (SQ(9, 7), (2,))),
            fracnet, fracnet_reference,
            (*gates, with_corners(-32768, 32767, (2,), n, rng)),
        ),
        Unit(
            "downsample", ((SQ(9, 7), (2, 2, 2)),),
            lambda x: [fracbnn.downsample(x)], downsample_reference,
            (with_corners(-32768, 32767, (2, 2, 2), n, rng),),
        ),
        Unit(
            "thermometer", ((UQ(8, 0), (1,)),),
            lambda p: [fracbnn.thermometer(p)], thermometer_reference,
            (thermo,),
        ),
        Unit(
            "distance", ((S8, ()), (S8, ())),
            lambda x, w: [adder_net.distance(x, w)],
            lambda x, w: [abs(x - w)],
            pairs(codes, codes),
        ),
        Unit(
            "adder, constant", ((S8, (6,)),),
            lambda x: [adder_net.adder_dot(x, WA), adder_net.adder_dot(x, WA[:, 1])],
            lambda x: [sad(x, WA), sad(x, WA)[:, 1]],
            (with_corners(-128, 127, (6,), n, rng),),
        ),
        Unit(
            "adder, varying", ((SQ(2, 2), (3,)), (SQ(2, 2), (3, 2))),
            lambda x, w: [adder_net.adder_dot(x, w)],
            lambda x, w: [sad(x, w)],
            (with_corners(-8, 7, (3,), n, rng), with_corners(-8, 7, (3, 2), n, rng)),
        ),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def case():
    return together(units(), "binary_units")


def test_emulator_gives_the_formulas(case):
    graph, raw, wanted = case
    same(graph.run_raw(*raw), wanted)


def test_every_type_holds(case):
    graph, raw, wanted = case
    same(readings.reference(graph, [r[:2000] for r in raw]), [w[:2000] for w in wanted])


def test_verilog_gives_the_formulas(case):
    graph, raw, wanted = case
    same(readings.verilator(graph, raw), wanted)


def test_cpp_gives_the_formulas():
    """Units of few rows in a graph of their own: C++ is the slow reading here."""
    parts = [[], [], []]
    for u in units():
        parts[np.searchsorted([5_000, 70_000], max(map(len, u.rows)))].append(u)
    cases = [together(part, f"binary_units_{i}") for i, part in enumerate(parts)]
    functions = readings.compiled([graph for graph, _, _ in cases])
    for function, (graph, raw, wanted) in zip(functions, cases, strict=True):
        same(readings.called(function, graph, raw), wanted)


def test_specification_gives_the_formulas(case):
    graph, raw, wanted = case
    rows = slice(0, None, 12_911)
    same(readings.specification(graph, [r[rows] for r in raw]), [w[rows] for w in wanted])


# ---- worked numbers -----------------------------------------------------------------------------------


def test_batch_norm_and_sign_fold_into_a_popcount():
    """gamma -.7, beta .3, mu 5, sigma 2.5: tau 6.0714, popcount <= 35 of 64; checked for all dots."""
    t = xnor.fold_batch_norm(-0.7, 0.3, 5, 2.5, 64)
    assert (t.levels, t.falling, t.popcount_levels) == ((6,), (1,), (35,))
    for dot in range(-64, 65, 2):
        real = Fraction(-0.7) * (dot - 5) / Fraction(2.5) + Fraction(0.3) >= 0
        assert real == ((dot + 64) // 2 <= 35) == (dot <= 6)


def test_thresholds_of_rising_constant_and_far_channels():
    t = xnor.fold_batch_norm(
        [1, 1, 0, 0, 1, -1, 1], [0, 0, 1, -1, -99, 99, 99], [3, 2.5, 0, 0, 0, 0, 0], 1, 8
    )
    assert t.falling == (0, 0, 0, 0, 0, 1, 0)
    assert t.levels == (3, 3, -8, 9, 9, 9, -9)
    assert t.popcount_levels == (6, 6, 0, 9, 9, 8, 0)
    levels, inversions = t.rising
    for dot in range(-8, 9, 2):
        constant = [dot <= v if f else dot >= v for v, f in zip(t.levels, t.falling, strict=True)]
        assert constant == [(dot >= v) ^ bool(i) for v, i in zip(levels, inversions, strict=True)]


def test_fracbnn_dot_is_a_third_of_two_binary_dots():
    """64 random two-bit activations with signs: sum of (2c / 3 - 1) * w = (2 dm + dl) / 3."""
    rng = np.random.default_rng(0)
    c, w = rng.integers(0, 4, size=64), rng.choice([-1, 1], size=64)
    exact = sum((Fraction(2 * int(v), 3) - 1) * int(s) for v, s in zip(c, w, strict=True))
    graph = trace(lambda m, lo: fracbnn.gated_dot(m, lo, w, -100).total, BIT, BIT, shape=(64,))
    assert Fraction(int(graph.run_raw(c >> 1, c & 1)), 3) == exact
    codec = thermometer.TwoBit()
    assert codec.scale * int(codec.raw(c) @ w) == exact


def test_two_bit_codes():
    codec = thermometer.TwoBit()
    x = [-1.5, -1.0, -0.67, -0.66, -0.1, 0.0, 0.66, 0.67, 2.0]
    assert codec.encode(x).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert thermometer.TwoBit("RND_MIN_INF").encode([0.0, 0.25]).tolist() == [1, 2]
    assert thermometer.TwoBit("RND_CONV").encode([0.0]).tolist() == [2]
    assert codec.raw([0, 1, 2, 3]).tolist() == [-3, -1, 1, 3]
    assert codec.decode([0, 1, 2, 3]).tolist() == [-1.0, -1 / 3, 1 / 3, 1.0]


def test_thermometer_of_pixels():
    codec = thermometer.Thermometer()
    assert codec.encode([0, 3, 4, 12, 127, 128, 250, 255]).tolist() == [0, 0, 0, 2, 16, 16, 31, 32]
    assert (codec.planes, codec.bits) == (32, 6)
    assert codec.signs(codec.encode([12])).tolist() == [[1, 1, *[0] * 30]]
    assert codec.decode([2, 32]).tolist() == [16.0, 256.0]
    for planes, pixels in ((8, 255), (3, 20), (7, 100)):  # odd and even steps
        t = thermometer.Thermometer(planes, pixels)
        lit = [sum(p >= level for level in t.levels()) for p in range(pixels + 1)]
        assert lit == t.encode(np.arange(pixels + 1)).tolist()


def test_constants_of_two_thirds():
    assert thermometer.fractions([2 / 3, 1 / 3]).tolist() == [Fraction(2 / 3), Fraction(1 / 3)]
    assert parameter([2 / 3, 1 / 3]).tolist() == [171, 85]


def test_adder_net():
    """x = [3,-5,7,0], w = [1,-2,9,-4]: -11; dw [2,-3,-2,4]; dx [-1,1,1,-1]."""
    x, w = [3, -5, 7, 0], [1, -2, 9, -4]
    graph = trace(lambda v: adder_net.adder_dot(v, w), S8, shape=(4,))
    assert graph.run_raw(x) == -11
    dw, dx = adder_net.adder_gradients(x, w)
    assert dw.tolist() == [2, -3, -2, 4] and dx.tolist() == [-1, 1, 1, -1]


def test_accumulator_of_576_distances_has_19_bits():
    weights = np.full(576, -128)
    graph = trace(lambda v: adder_net.adder_dot(v, weights), S8, shape=(576,))
    assert graph.outputs[0].type.max_width == 19
    assert graph.run_raw(np.full(576, 127)) == -576 * 255
    varying = trace(lambda v, w: adder_net.adder_dot(v, w), S8, S8, shape=(576,))
    assert varying.outputs[0].type.max_width == 19


def test_weights_share_the_scale_of_x():
    graph = trace(lambda v: adder_net.adder_dot(v, [0.5, -0.25]), SQ(2, 2), shape=(2,))
    assert graph.outputs[0].type.frac == 2
    assert graph.run([1.0, 1.0]) == -1.75
    raw = trace(lambda v: adder_net.adder_dot(v, [2, -1], frac=2), SQ(2, 2), shape=(2,))
    assert raw.run([1.0, 1.0]) == -1.75
    with pytest.raises(TypeError, match="weights must share x's scale, frac 2, not frac 3"):
        trace(lambda v: adder_net.adder_dot(v, [0.125, 1]), SQ(2, 2), shape=(2,))
    with pytest.raises(TypeError, match="weights must share x's scale, frac 2, not frac 1"):
        trace(lambda v: adder_net.adder_dot(v, [2, -1], frac=1), SQ(2, 2), shape=(2,))
    with pytest.raises(TypeError, match="weights must share x's scale, frac 2, not frac 1"):
        trace(adder_net.distance, SQ(2, 2), SQ(2, 1))


def test_distances_of_ordered_ranges_need_no_sign():
    low, high = TensorType.of(UQ(2, 0)), TensorType.of(UQ(2, 0)).range
    above = TensorType((), 0, high.lo + 4, high.hi + 4)
    graph = trace(lambda a, b: (adder_net.distance(a, b), adder_net.distance(b, a)), low, above)
    assert [int(v) for v in graph.run_raw(1, 6)] == [5, 5]
    assert len(graph.values) == 5 and graph.outputs[0].type.bounds == (1, 7)


# ---- bad input ----------------------------------------------------------------------------------------


def test_bad_weights_and_bits():
    with pytest.raises(ValueError, match=r"weights must be -1 or 1, not 0 at \(1,\)"):
        trace(lambda a: xnor.xnor_dot(a, [1, 0]), BIT, shape=(2,))
    with pytest.raises(TypeError, match=r"bits must be proven in 0..1 with frac 0, not 0..3 with frac 0"):
        trace(lambda a: xnor.xnor_dot(a, [1, -1]), UQ(2, 0), shape=(2,))
    with pytest.raises(ValueError, match=r"weights must have shape \(kh, kw, c, m\)"):
        trace(lambda a: xnor.xnor_conv(a, np.ones((3, 3, 1, 2), int)), BIT, shape=(4, 4, 2))
    with pytest.raises(TypeError, match="MatMul needs equal inner sizes"):
        trace(lambda a: xnor.xnor_dot(a, [1, -1]), BIT, shape=(3,))


def test_bad_batch_norm():
    with pytest.raises(ValueError, match=r"sigma must be positive, not 0.0 at channel 1"):
        xnor.fold_batch_norm(1, 0, 0, [1, 0], 8)
    with pytest.raises(ValueError, match="values must be finite, not nan"):
        xnor.fold_batch_norm(np.nan, 0, 0, 1, 8)
    with pytest.raises(ValueError, match="n must be an integer of at least 1, not 0"):
        xnor.fold_batch_norm(1, 0, 0, 1, 0)
    with pytest.raises(TypeError, match="dot must have frac 0 and 1 channels last"):
        trace(lambda x: xnor.batch_norm_sign(x, xnor.fold_batch_norm(1, 0, 0, 1, 8)), S8, shape=(2,))
    with pytest.raises(TypeError, match=r"inversions must be proven in 0\.\.1 with frac 0, not -128\.\.127"):
        trace(xnor.loaded_sign, S8, S8, S8)


def test_bad_fracbnn():
    with pytest.raises(ValueError, match="rounding must be one of RND, RND_MIN_INF, RND_CONV, not 'TRN'"):
        thermometer.TwoBit("TRN")
    with pytest.raises(
        ValueError, match=r"delta must be one number or one per channel of \(2,\), not of shape \(3,\)"
    ):
        trace(lambda a, b: fracbnn.gated_dot(a, b, W6, [0, 1, 2]).total, BIT, BIT, shape=(6,))
    with pytest.raises(ValueError, match=r"values must be finite"):
        trace(lambda a, b: fracbnn.gated_dot(a, b, W6, np.nan).total, BIT, BIT, shape=(6,))
    with pytest.raises(TypeError, match=r"x must be integers proven in 0..255, not -128..127 with frac 0"):
        trace(fracbnn.thermometer, S8)
    with pytest.raises(ValueError, match=r"values must lie in 0..255, not 256 at index \(1,\)"):
        thermometer.Thermometer().encode([0, 256])
    with pytest.raises(ValueError, match="resolution must be an integer of at least 1, not 0"):
        thermometer.Thermometer(0)
    with pytest.raises(ValueError, match="resolution must give a plane or more, not 600 for 255"):
        thermometer.Thermometer(600)
    with pytest.raises(ValueError, match=r"x must have shape \(h, w, c\) with even h and w"):
        trace(fracbnn.downsample, S8, shape=(3, 2, 1))
    with pytest.raises(ValueError, match=r"g0 must be one number or one per channel of \(2,\)"):
        wrong = fracbnn.PostConv(g0=[1, 2, 3], b0=0, bx=0, alpha=0, by=0, g1=0, b1=0)
        trace(
            lambda a, b, s: fracbnn.post_conv(fracbnn.gated_dot(a, b, W6, 0), s, wrong),
            BIT, BIT, S8, shape=[(6,), (6,), (2,)],
        )  # fmt: skip


def test_bad_shapes_of_distances():
    with pytest.raises(ValueError, match=r"weights must have shape \(n,\) or \(n, m\) for x"):
        trace(lambda x: adder_net.adder_dot(x, [1, 2, 3]), S8, shape=(2,))
    with pytest.raises(ValueError, match=r"weights must have shape \(n,\) or \(n, m\) for x"):
        trace(lambda x, w: adder_net.adder_dot(x, w), S8, S8, shape=[(2,), (3,)])
