"""Folded convolution and dense layers: a few processing elements that share all products over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim.integers import Array, exact
from fxsim.types import TensorType
from rtl.layout import Layout
from rtl.lower.names import identifier
from rtl.stream.accumulate import Accumulate
from rtl.stream.folded_feeder import Feeder
from rtl.stream.folded_mac import codes, shifts, varies
from rtl.stream.folded_nest import Nest
from rtl.stream.folded_shifts import terms_of
from rtl.stream.folded_split import feasible, integers, ordered_weights, read_span, result_span, split
from rtl.stream.part import Part
from rtl.stream.pipe import Pipe

__all__ = ("ENCODINGS", "Engine", "engine", "feasible", "split")

ENCODINGS = ("codes", "shifts", "auto")
"""How weights stand in their memory. One product of an 8-bit (4-bit) x in LUTs of ECP5 by Yosys, registers at
both ends included:

    weights              terms   codes      shifts     bits of a code, of its shifts
    -1, 0, 1                 1    25 (13)    21 (12)   2, 2
    0, +-1, +-2              1    43 (23)    31 (17)   3, 3
    0, +-1 .. +-4            1    61 (33)    50 (28)   4, 4
    0, +-1 .. +-8            1    79 (39)    51 (28)   5, 4
    0, +-1 .. +-128          1   145 (67)   100 (59)   9, 5
    -3 .. 3                  2    43 (23)    68 (41)   3, 6
    -7 .. 7                  2    61 (33)    83 (49)   4, 6

So "auto" takes shifts where every weight is 0 or one power of two, else codes.
"""


@dataclass(frozen=True, eq=False)
class Engine:
    """The parts of a folded layer in the order of their chain, and what goes out.

    A frame is out[0] * out[1] positions in raster order, a position `beats` beats, a beat `po` results in
    lo..hi, each of `bits` bits, two's complement where `signed`, output channels in order.

    cycles   per frame, if nothing waits
    pe       processing elements: pi * po, depthwise pi
    code_bits   of a weight that can be written, else None
    """

    feeder: Feeder
    mac: Pipe
    total: Accumulate
    pi: int
    po: int
    lo: int
    hi: int
    encoding: str
    code_bits: int | None = None

    @property
    def bits(self) -> int:
        return self.total.out_bits

    @property
    def signed(self) -> bool:
        return self.lo < 0

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        return self.feeder, self.mac, self.total

    @property
    def out(self) -> tuple[int, int]:
        return self.feeder.nest.out

    @property
    def beats(self) -> int:
        return self.feeder.nest.results

    @property
    def cycles(self) -> int:
        return self.feeder.nest.cycles

    @property
    def pe(self) -> int:
        return self.pi if self.feeder.nest.depthwise else self.pi * self.po

    def words(self, weights: Array) -> list[int]:
        """What the memory of the weights holds for others of the same shape, which must be codes of
        code_bits."""
        ports = Layout(self.mac.core.in_layout.ports[1:])
        ordered = ordered_weights(exact(weights), self.feeder.nest, self.pi, self.po)
        return ports.integers(ports.pack([ordered]))


def engine(
    name: str,
    top: str,
    weights: Any,
    *,
    height: int,
    width: int,
    elements: int,
    bits: int,
    signed: bool,
    pe: int,
    lo: int | None = None,
    hi: int | None = None,
    words: int = 1,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    before: tuple[int, int] = (0, 0),
    after: tuple[int, int] = (0, 0),
    fill: int = 0,
    result: tuple[int, int] | None = None,
    encoding: str = "auto",
    writable: bool = False,
    code_bits: int | None = None,
    capacity: int | None = None,
    depth: int = 2,
    options: Mapping[str, Any] | None = None,
) -> Engine:
    """Convolution of a stream of pixels with weights in a memory, `pe` products per clock cycle.

    y[oh, ow, o] = sum over kh, kw, c of x[oh * stride + kh * dilation - before, ..., c] * weights[kh, kw, c,
    o], taps in the padding being `fill`; all raw integers, nothing is lost. Dense: the kernel is the image.

    name, top    of the layer, which its parts' names begin with, and of the network's module
    weights      integers (kh, kw, words * elements, out), or depthwise (kh, kw, words * elements)
    height, width, words, elements, bits, signed   of the input: pixels of `words` beats of `elements` codes
    lo, hi       of every element; default: all codes
    pe           pi * po, where po divides the outputs and pi the elements; po is as large as can be
    result       proven interval of the results; default: from lo, hi and the weights
    writable     the weights can be written, so they have all codes of `code_bits` (default: what they need)
    encoding     of the weights: "codes" (two's complements, multiplied by partial products), "shifts" (sums
                 of signed powers of two, multiplied by shifts), "auto": what is smaller, see `ENCODINGS`
    capacity     words of the input buffer; default: see `Feeder`
    depth        registers from that buffer on, 2 or 3, see `Feeder`
    options      of `rtl.core.Core`, which computes a tick

    Raises ValueError where a number is out of range or `pe` is no such product, TypeError for weights that
    are no integers.
    """
    for field, value in (("words", words), ("elements", elements), ("bits", bits)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{field} of {name} must be an integer of at least 1, not {value!r}")
    w = integers(name, weights, words * elements)
    depthwise = w.ndim == 3
    pi, po = split(name, pe, elements, None if depthwise else w.shape[3])
    nest = Nest(
        height, width, words, elements // pi, w.shape[:2], stride, dilation, before, after,
        1 if depthwise else w.shape[3] // po, depthwise,
    )  # fmt: skip
    span = read_span(name, bits, signed, lo, hi, fill, nest)
    if writable:
        least, most = int(w.min()), int(w.max())
        need = 1 + max(most.bit_length(), (-1 - least).bit_length() if least < 0 else 0)
        code_bits = need if code_bits is None else code_bits
        if code_bits < need:
            raise ValueError(f"code_bits of {name} must be at least {need}, not {code_bits!r}")
    elif code_bits is not None:
        raise ValueError(f"code_bits of {name} must be None unless its weights are writable")
    low, high = result_span(w, span, code_bits) if result is None else result
    if low > high:
        raise ValueError(f"result of {name} must be an interval, not {result!r}")
    y = TensorType((), 0, exact(low), exact(high))
    y_bits, y_signed = y.max_width, low < 0
    x = TensorType((pi,), 0, np.full(pi, span[0]), np.full(pi, span[1]))
    ordered = ordered_weights(w, nest, pi, po)
    encoding = _encoding(name, encoding, ordered, writable)
    module, build = identifier(f"{top}_{name}_mac"), dict(options or {})
    if encoding == "codes":
        mac = codes(module, x, ordered, y_bits, y_signed, code_bits, **build)
    else:
        mac = shifts(module, x, ordered, y_bits, y_signed, **build)
    feeder = Feeder(
        f"{name}_feed", nest, elements, bits, x.max_width, signed, mac.rom, mac.w_bits,
        fill if nest.padded else 0, capacity, writable, depth,
    )  # fmt: skip
    pipe = Pipe(f"{name}_mac", mac.core, f"{pi if depthwise else pi * po} products of a tick")
    port = mac.core.out_layout.ports[0]
    total = Accumulate(f"{name}_sum", "sum", po, port.width, y_bits, port.signed, nest.count)
    return Engine(feeder, pipe, total, pi, po, int(low), int(high), encoding, code_bits)


def _encoding(name: str, encoding: str, weights: Array, writable: bool) -> str:
    """What "auto" stands for."""
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding of {name} must be {' or '.join(ENCODINGS)}, not {encoding!r}")
    if encoding == "shifts" and writable:
        raise ValueError(f"encoding of {name} must be codes where its weights are writable, not 'shifts'")
    if encoding != "auto":
        return encoding
    return "shifts" if not writable and varies(weights) and terms_of(weights) == 1 else "codes"
