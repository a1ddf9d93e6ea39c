"""Packing is exact for every lane width, and a value that does not fit is named."""

import numpy as np
import pytest

from rtl.layout import Layout, Port

WIDTHS = [1, 2, 6, 8, 15, 16, 31, 32, 33, 61, 62, 63, 64, 65, 100, 130]


def lanes(port: Port, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform values of the port's whole range, both ends included."""
    shape = (samples, *port.shape)
    raw = rng.integers(0, 1 << 32, (5, *shape)).astype(object)
    value = sum(raw[k] << (32 * k) for k in range(5)) % (1 << port.width) + port.lo
    value[0], value[-1] = port.lo, port.hi
    return value.astype(np.int64) if port.width <= 62 else value


def by_hand(layout: Layout, arrays: list[np.ndarray]) -> list[int]:
    out = []
    for sample in range(len(arrays[0])):
        word, at = 0, 0
        for port, array in zip(layout.ports, arrays, strict=True):
            for value in array[sample].ravel():
                word |= (int(value) % (1 << port.width)) << at
                at += port.width
        out.append(word)
    return out


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_width_goes_through_unchanged(width, signed):
    rng = np.random.default_rng(width)
    layout = Layout((Port("a", (3,), 5), Port("b", (2, 3), width, signed, frac=2), Port("c", (), 1, False)))
    arrays = [lanes(port, 40, rng) for port in layout.ports]
    words = layout.pack(arrays)
    assert words.dtype == np.uint32 and words.shape == (40, -(-layout.bits // 32))
    integers = by_hand(layout, arrays)
    assert layout.integers(words) == integers
    assert layout.hex_lines(words) == [f"{value:0{-(-layout.bits // 4)}x}" for value in integers]
    assert layout.bit_strings(words) == [f"{value:0{layout.bits}b}" for value in integers]
    assert np.array_equal(layout.from_bit_strings(layout.bit_strings(words)), words)
    for array, back in zip(arrays, layout.unpack(words), strict=True):
        assert back.dtype == array.dtype and back.shape == array.shape
        assert np.array_equal(back, array)


def test_chunks_and_narrow_dtypes_and_names():
    rng = np.random.default_rng(5)
    layout = Layout((Port("a", (2,), 9), Port("b", (), 40, False)))
    a = rng.integers(-128, 128, (40_000, 2)).astype(np.int8)
    b = rng.integers(0, 1 << 40, 40_000).astype(np.uint64)
    words = layout.pack({"b": b, "a": a})
    assert np.array_equal(words, layout.pack([a.astype(object), b.astype(object)]))
    back = layout.unpack(words)
    assert np.array_equal(back[0], a) and np.array_equal(back[1], b)


def test_description():
    layout = Layout((Port("x", (2, 2), 3), Port("flag", (), 1, False)))
    assert (layout.bits, layout.words, layout.offsets) == (13, 1, (0, 12))
    assert layout.header == ["x_0_0", "x_0_1", "x_1_0", "x_1_1", "flag"]
    assert layout.lane(2) == (layout.ports[0], (1, 0)) and layout.lane(4) == (layout.ports[1], ())
    assert Layout.from_json(layout.to_json()) == layout and hash(layout) == hash(Layout(layout.ports))


def test_empty_batch():
    layout = Layout((Port("x", (3,), 70),))
    words = layout.pack(np.zeros((0, 3), np.int64))
    assert words.shape == (0, 7) and layout.unpack(words)[0].shape == (0, 3)
    assert layout.hex_lines(words) == [] and layout.bit_strings(words) == []
    assert layout.from_bit_strings([]).shape == (0, 7)


@pytest.mark.parametrize(
    ("value", "index"), [(8, (1, 2)), (-9, (0, 1)), (1 << 70, (2, 0)), (-(1 << 63), (2, 2))]
)
def test_range_names_port_and_first_index(value, index):
    array = np.zeros((3, 3), np.int64 if abs(value) < 1 << 64 else object)
    array[index] = value
    array[2, 2] = value
    with pytest.raises(ValueError) as error:
        Layout((Port("pixels", (3,), 4),)).pack(array)
    assert str(error.value) == f"value of port 'pixels' at {index} must be in [-8, 7], not {value}"


@pytest.mark.parametrize(
    ("values", "kind", "text"),
    [
        (np.zeros((3, 2)), TypeError, "values of port 'x' must be integers, not float64"),
        (np.array([[True, False]]), TypeError, "values of port 'x' must be integers, not bool"),
        (np.array([[1, 0.5]], object), TypeError, "values of port 'x' must be integers, not 0.5"),
        (np.zeros((3, 4), int), ValueError, r"values of port 'x' must have shape \(n, 2\), not \(3, 4\)"),
        (np.zeros(2, int), ValueError, r"must have shape \(n, 2\), not \(2,\)"),
        ([np.zeros((1, 2), int)] * 2, ValueError, "one array for each of the ports x, not 2"),
        ({"z": np.zeros((1, 2), int)}, ValueError, r"ports must be x, not \['z'\]"),
    ],
)
def test_bad_values(values, kind, text):
    with pytest.raises(kind, match=text):
        Layout((Port("x", (2,), 4),)).pack(values)


def test_bad_descriptions():
    port = Port("x", (2,), 4)
    for build, kind, text in [
        (lambda: Port("a b", (), 1), ValueError, "name must be an identifier, not 'a b'"),
        (lambda: Port("x", (0,), 1), ValueError, "shape of port 'x' must be positive integers"),
        (lambda: Port("x", (), 0), ValueError, "width of port 'x' must be at least 1, not 0"),
        (lambda: Port("x", (), 2.0), TypeError, "width of port 'x' must be an integer, not 2.0"),
        (lambda: Layout(()), ValueError, "ports must be at least one Port"),
        (lambda: Layout((port, port)), ValueError, "port names must differ"),
        (lambda: Layout.from_json({"ports": [{}]}), ValueError, "layout must be the data that to_json gives"),
        (lambda: Layout((port,)).unpack(np.zeros((1, 2), np.uint32)), ValueError, "words must be uint32 of"),
        (lambda: Layout((port,)).from_bit_strings(["0000000x"]), ValueError, "sample 0 must be binary"),
        (lambda: Layout((port,)).from_bit_strings(["000"]), ValueError, "sample 0 must have 8 bits, not 3"),
        (lambda: Layout((port, Port("y", (), 1))).pack([np.zeros((1, 2), int), np.zeros(2, int)]), ValueError,
         r"must have equally many samples, not \[1, 2\]"),
    ]:  # fmt: skip
        with pytest.raises(kind, match=text):
            build()
