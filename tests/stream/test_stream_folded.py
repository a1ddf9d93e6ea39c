"""Folded convolution and dense layers: every result and every cycle, in Amaranth's simulator."""

from __future__ import annotations

import numpy as np
import pytest
from folded_bench import Case, chain, predicted
from parts_bench import simulated

from rtl.bench.patterns import pair

CONV = {"height": 6, "width": 5, "elements": 4, "out": 4, "kernel": (3, 3)}
PADDED = CONV | {"before": (1, 1), "after": (1, 1), "fill": 3}
CASES = {
    "one product": {"elements": 4, "out": 2, "pe": 1},
    "all products": {"elements": 4, "out": 2, "pe": 8},
    "groups only": {"height": 3, "width": 2, "out": 4, "pe": 2},
    "parts only": {"height": 3, "elements": 4, "pe": 1},
    "dense": {"height": 3, "width": 2, "elements": 2, "out": 6, "kernel": (3, 2), "pe": 3},
    "dense, many words": {"words": 5, "elements": 3, "out": 4, "pe": 6},
    "conv": CONV | {"pe": 4},
    "padded": PADDED | {"pe": 2},
    "padded, all": PADDED | {"pe": 16},
    "strided": PADDED | {"stride": (2, 2), "pe": 8},
    "uneven": PADDED | {"stride": (2, 3), "dilation": (1, 2), "after": (0, 2), "pe": 4},
    "rows unread": {"height": 7, "width": 4, "elements": 2, "out": 2, "stride": (4, 3), "pe": 2},
    "row": {"width": 9, "elements": 2, "out": 3, "kernel": (1, 4), "after": (0, 3), "pe": 3},
    "depthwise": PADDED | {"depthwise": True, "words": 2, "pe": 2},
    "depthwise, one": PADDED | {"depthwise": True, "stride": (2, 1), "pe": 1},
    "depthwise, all": PADDED | {"depthwise": True, "pe": 4},
    "full padding": CONV | {"before": (2, 2), "after": (2, 2), "fill": -1, "pe": 4},
    "shifts": PADDED | {"encoding": "shifts", "pe": 4},
    "shifts, all, depthwise": PADDED | {"encoding": "shifts", "depthwise": True, "pe": 4},
    "shifts, no tick": {"elements": 4, "out": 3, "pe": 12, "encoding": "shifts"},
    "deep": PADDED | {"pe": 2, "depth": 3},
    "wide padding": CONV | {"before": (3, 4), "after": (4, 3), "kernel": (2, 2), "fill": 2, "pe": 4},
    "unsigned, signed fill": PADDED | {"signed": False, "fill": -5, "pe": 4},
}
"""Parameters of layers, by what is special about them."""


@pytest.mark.parametrize("name", CASES)
def test_results_and_cycles(name):
    case = Case(len(name), "dut", **CASES[name])
    words, expected = case.words()
    for idle, backpressure in ((0, 0), (0.3, 0.6)):
        sides = pair(idle, backpressure, 5)
        got, spent = simulated(case.net, words, len(expected), *sides, reset=30)
        assert got == expected
        assert spent == predicted(case.net, len(words), len(expected), *sides)[0]


def random_case(seed: int) -> Case:
    """A small layer of random geometry."""
    rng = np.random.default_rng([17, seed])

    def draw(lo: int, hi: int) -> tuple[int, int]:
        a, b = rng.integers(lo, hi, 2, endpoint=True)
        return int(a), int(b)

    while True:
        (height, width), kernel, stride, dilation = draw(1, 6), draw(1, 3), draw(1, 3), draw(1, 2)
        words, elements = int(rng.integers(1, 4)), int(rng.choice([1, 2, 4]))
        depthwise, out = bool(rng.integers(2)), int(rng.choice([1, 2, 3, 4]))
        pe = int(rng.choice([d for d in (1, 2, 4) if elements % d == 0]))
        if not depthwise:
            pe *= int(rng.choice([d for d in (1, 2, 3, 4) if out % d == 0]))
        p = {
            "height": height, "width": width, "kernel": kernel, "stride": stride, "dilation": dilation,
            "words": words, "elements": elements, "before": draw(0, 2), "after": draw(0, 2), "pe": pe,
            "fill": int(rng.integers(-8, 8)), "depthwise": depthwise, "out": out, "bits": 4,
            "encoding": str(rng.choice(["codes", "shifts"])), "depth": int(rng.choice([2, 3])),
        }  # fmt: skip
        try:
            case = Case(seed, "dut", **p)
            if seed % 2:  # and a memory that only just suffices
                least = (case.made.feeder.nest.least - 1).bit_length()
                case = Case(seed, "dut", capacity=1 << least, **p)
            return case
        except ValueError as error:  # a kernel that does not fit
            assert str(error).startswith(("kernel must fit", "kernel must meet"))


@pytest.mark.parametrize("seed", range(24))
def test_random_geometry(seed):
    case = random_case(seed)
    words, expected = case.words()
    rates = np.random.default_rng(seed).choice([0, 0.2, 0.5], 2)
    sides = pair(float(rates[0]), float(rates[1]), seed)
    got, spent = simulated(case.net, words, len(expected), *sides)
    assert got == expected
    assert spent == predicted(case.net, len(words), len(expected), *sides)[0]


def test_reading_bounds_the_cycles():
    """With the default memory, writing hides behind reading: an interval is the ticks of a frame."""
    for name in ("conv", "padded", "strided", "dense", "depthwise"):
        spent = []
        for frames in (4, 9):
            case = Case(1, "dut", frames=frames, **CASES[name])
            spent.append(predicted(case.net, len(case.inputs), len(case.outputs), *pair(0, 0, 0))[0])
        interval = max(case.made.cycles, case.made.feeder.nest.beats)
        assert spent[1] - spent[0] == 5 * interval, name


def test_least_capacity_never_stops():
    for name in ("conv", "padded", "uneven", "rows unread", "full padding", "depthwise", "row"):
        least = Case(1, "dut", **CASES[name]).made.feeder.nest.least
        case = Case(1, "dut", frames=5, capacity=1 << (least - 1).bit_length(), **CASES[name])
        words, expected = case.words()
        sides = pair(0.2, 0.2, 1)
        got, spent = simulated(case.net, words, len(expected), *sides)
        assert got == expected
        assert spent == predicted(case.net, len(words), len(expected), *sides)[0]


NARROW = {
    "codes not used": {"lo": -3, "hi": 5},
    "never negative": {"lo": 0, "hi": 6},
    "fill beyond": {"lo": -1, "hi": 1, "before": (1, 1), "fill": 7},
    "fill of no tap": {"lo": 1, "hi": 3, "fill": -8},
}


@pytest.mark.parametrize("name", NARROW)
def test_narrower_inputs_make_narrower_results(name):
    case, wide = (Case(4, "dut", frames=2, pe=4, **CONV | p) for p in (NARROW[name], {}))
    assert case.made.bits < wide.made.bits and case.made.feeder.x_bits <= 4
    words, expected = case.words()
    assert simulated(case.net, words, len(expected), *pair(0, 0.2, 3))[0] == expected


def test_a_proven_interval_of_the_results_is_the_width_of_all_sums():
    plain = Case(5, "dut", pe=4, **CONV)
    low, high = int(plain.outputs.min()), int(plain.outputs.max())
    for encoding in ("codes", "shifts"):
        case = Case(5, "dut", pe=4, result=(low, high), encoding=encoding, **CONV)
        assert (case.made.lo, case.made.hi) == (low, high)
        assert case.made.bits == 1 + max(high.bit_length(), (-1 - low).bit_length()) < plain.made.bits
        words, expected = case.words()
        assert simulated(case.net, words, len(expected), *pair(0, 0, 3))[0] == expected


def test_options_reach_the_core():
    one, two = (
        Case(5, "dut", pe=16, options={"max_depth_per_stage": d}, **CONV).made.mac.core for d in (1, None)
    )
    assert one.latency > two.latency == 2


def test_order_of_parts_and_what_goes_out():
    case = Case(2, "dut", **CASES["dense"])
    made = case.made
    assert [p.name for p in made.parts] == ["layer_feed", "layer_mac", "layer_sum"]
    assert (made.pi, made.po, made.pe, made.beats, made.out) == (1, 3, 3, 2, (1, 1))
    assert made.cycles == 3 * 2 * 2 * 2  # pixels, elements, groups
    assert made.bits == made.total.out_bits and made.signed
    assert chain(made, "dut").last.bits == made.po * made.bits
    assert made.feeder.memory == (2 * 4 << made.feeder.address_bits) + 24 * 3 * 4


BAD = {
    "pe of layer must be a product of a divisor of 4 and a divisor of 4, for example 4 or 8, not 5": {
        "pe": 5
    },
    "pe of layer must be a product of a divisor of 4 and a divisor of 4, for example 16, not 64": {
        "pe": 64
    },
    "pe of layer must be an integer of at least 1, not 0": {"pe": 0},
    "pe of layer must be an integer of at least 1, not True": {"pe": True},
    "pe of layer must divide its 4 elements of a beat, not 3": {"pe": 3, "depthwise": True},
    "capacity of layer_feed must be at least 13, not 8": {"capacity": 8},
    "capacity of layer_feed must be a power of two, not 24": {"capacity": 24},
    "stride must be an integer of at least 1, not 0": {"stride": (0, 1)},
    "dilation must be a pair of integers, not (1,)": {"dilation": (1,)},
    "kernel must fit into the padded image, not (3, 3) with dilation (3, 1) into 6x5 with (0, 0) before and "
    "(0, 0) after": {"dilation": (3, 1)},
    "kernel must meet the image, but it lies in the padding everywhere": {
        "before": (9, 0), "stride": (20, 1),
    },
    "encoding of layer must be codes or shifts or auto, not 'csd'": {"encoding": "csd"},
    "lo and hi of layer must lie in -8..7, not -9 and 7": {"lo": -9},
    "result of layer must be an interval, not (3, 2)": {"result": (3, 2)},
    "depth of layer_feed must be 2 or 3, not 1": {"depth": 1},
    "fill of layer must be an integer, not 0.5": {"fill": 0.5},
    "bits of layer must be an integer of at least 1, not 0": {"bits": 0},
    "elements of layer must be an integer of at least 1, not -4": {"elements": -4},
    "code_bits of layer must be None unless its weights are writable": {"code_bits": 4},
    "code_bits of layer must be at least 4, not 3": {"code_bits": 3, "writable": True},
}  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_bad_parameters(text):
    with pytest.raises(ValueError) as error:
        Case(1, "dut", **CONV | BAD[text])
    assert str(error.value) == text


def test_bad_weights():
    with pytest.raises(TypeError, match="weights of layer must be integers, not float64"):
        Case(1, "dut", weights=np.zeros((3, 3, 4, 4)), **CONV)
    shape = r"\(kh, kw, 4, out\) or \(kh, kw, 4\), not \(3, 3, 2, 4\)"
    with pytest.raises(ValueError, match=f"weights of layer must have shape {shape}"):
        Case(1, "dut", weights=np.zeros((3, 3, 2, 4), int), **CONV)
