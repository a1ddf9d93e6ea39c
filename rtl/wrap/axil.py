"""The AXI4-Lite side of a wrapper: write and read channels, registers, the window of weights.

Every answer is OKAY: a write to what is read only, or where nothing is, changes nothing, and a read of what
is not there gives 0. The two lowest address bits are not looked at. One access of each kind is under way at a
time; no output depends on an input in the same cycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtl.wrap.parts import Parts
from rtl.wrap.registers import IDENTITY, VERSION, Register, Window, address_bits

WORD = 32


def ports(window: Window | None) -> dict[str, tuple[str, int]]:
    """Name -> (direction, bits)."""
    bits = address_bits(window)
    return {
        "s_axil_awaddr": ("in", bits), "s_axil_awprot": ("in", 3), "s_axil_awvalid": ("in", 1),
        "s_axil_awready": ("out", 1), "s_axil_wdata": ("in", WORD), "s_axil_wstrb": ("in", WORD // 8),
        "s_axil_wvalid": ("in", 1), "s_axil_wready": ("out", 1), "s_axil_bresp": ("out", 2),
        "s_axil_bvalid": ("out", 1), "s_axil_bready": ("in", 1), "s_axil_araddr": ("in", bits),
        "s_axil_arprot": ("in", 3), "s_axil_arvalid": ("in", 1), "s_axil_arready": ("out", 1),
        "s_axil_rdata": ("out", WORD), "s_axil_rresp": ("out", 2), "s_axil_rvalid": ("out", 1),
        "s_axil_rready": ("in", 1),
    }  # fmt: skip


@dataclass(frozen=True)
class Written:
    """What a write does in this cycle: enable, address, data, strobes; and the pulses one cycle after it."""

    enable: Any
    address: Any
    data: Any
    strobes: Any
    soft: Any
    clear: Any
    cancel: Any


def both(w: Any, first: Any, *terms: Any) -> Any:
    """The conjunction of bits; None stands for a 1."""
    for term in terms:
        if term is not None:
            first = w.bitwise("and", first, term)
    return first


def either(w: Any, a: Any, b: Any) -> Any:
    return w.bitwise("or", a, b)


class Block:
    """Writes the block with a writer of wrappers; `writes`, then `weights`, `errors` and `reads`."""

    def __init__(self, w: Any, parts: Parts, registers: list[Register], window: Window | None) -> None:
        self.w, self.parts, self.window = w, parts, window
        self.offsets = {r.name: r.offset for r in registers}

    def writes(self) -> Written:
        """The write channels: address and data wait for each other in registers, then for the answer."""
        w = self.w
        w.title("AXI4-Lite writes")
        held = {}
        for channel, signals in (("aw", ("addr",)), ("w", ("data", "strb"))):
            full = w.flop(f"{channel}__full", 1)
            take = w.wire(
                f"{channel}__take", both(w, w.pin(f"s_axil_{channel}valid", 1), w.invert(full))
            )  # fmt: skip
            w.drive(f"s_axil_{channel}ready", w.invert(full))
            for name in signals:
                given = w.pin(f"s_axil_{channel}{name}", ports(self.window)[f"s_axil_{channel}{name}"][1])
                held[name] = w.flop(f"{channel}__{name}", w.width(given))
                w.load(f"{channel}__{name}", given, take)
            held[channel] = full, take
        waits = w.flop("b__valid", 1)
        enable = w.wire("write__enable", both(w, held["aw"][0], held["w"][0], w.invert(waits)))
        for channel in ("aw", "w"):
            full, take = held[channel]
            w.load(f"{channel}__full", either(w, take, both(w, full, w.invert(enable))), reset=True)
        answered = w.invert(w.pin("s_axil_bready", 1))
        w.load("b__valid", either(w, enable, both(w, waits, answered)), reset=True)
        w.drive("s_axil_bvalid", waits)
        w.drive("s_axil_bresp", w.constant(0, 2))
        address, data, strobes = held["addr"], held["data"], held["strb"]
        low = w.wire("write__low", both(w, enable, w.cut(strobes, 0, 1)))
        control = w.wire("control__write", both(w, low, self._at(address, "CONTROL")))
        pulses = {}
        for bit, name in enumerate(["reset", "clear", *(["cancel"] if self.parts.has("cancel") else [])]):
            pulses[name] = w.flop(f"control__{name}", 1)
            w.load(f"control__{name}", both(w, control, w.cut(data, bit, bit + 1)), reset=True)
        status = w.wire("status__write", both(w, low, self._at(address, "STATUS")))
        self.clears = [both(w, status, w.cut(data, bit, bit + 1)) for bit in (1, 2)]
        return Written(enable, address, data, strobes, pulses["reset"], pulses["clear"], pulses.get("cancel"))

    def _at(self, address: Any, name: str) -> Any:
        """Whether a word address is that of a register."""
        w, size = self.w, w_size(self.w, address)
        return w.equal(w.cut(address, 2, size), w.constant(self.offsets[name] >> 2, size - 2))

    def weights(self, written: Written) -> dict[str, Any]:
        """The core's write port of weights."""
        w, window = self.w, self.window
        if window is None:
            return {}
        w.title("window of weights")
        low = 2 + window.word_bits
        here = w.cut(written.address, window.offset_bits, window.offset_bits + 1)
        word = w.cut(written.address, 2, low)
        write = w.wire("window__write", both(w, written.enable, here, w.all(written.strobes)))
        data = []
        for k in range(window.words):
            chosen = write if not window.word_bits else both(w, write, self._is(word, k))
            if k < window.words - 1:
                data.append(w.flop(f"window__word_{k}", WORD))
                w.load(f"window__word_{k}", written.data, chosen)
            else:
                data.append(w.cut(written.data, 0, window.data_bits - WORD * k))
                enable = chosen
        return {
            "w__address": w.cut(written.address, low, low + window.address_bits),
            "w__data": w.join(*data),
            "w__enable": w.wire("window__enable", enable),
        }

    def _is(self, word: Any, k: int) -> Any:
        return self.w.equal(word, self.w.constant(k, self.w.width(word)))

    def reads(self, values: dict[str, Any]) -> None:
        """The read channels; `values` are those of the registers that are no constants."""
        w = self.w
        w.title("AXI4-Lite reads")
        full = w.flop("r__valid", 1)
        address = w.pin("s_axil_araddr", address_bits(self.window))
        take = w.wire("r__take", both(w, w.pin("s_axil_arvalid", 1), w.invert(full)))
        constants = {
            "ID": IDENTITY, "VERSION": VERSION, "CONTROL": 0,
            "BEATS_IN": self.parts.beats_in, "BEATS_OUT": self.parts.beats_out,
        }  # fmt: skip
        known = {name: w.constant(value, WORD) for name, value in constants.items()} | values
        entries = {offset >> 2: known[name] for name, offset in self.offsets.items()}
        found = w.case("read__word", w.cut(address, 2, w.width(address)), entries, WORD)
        data = w.flop("r__data", WORD)
        w.load("r__data", found, take)
        w.load("r__valid", either(w, take, both(w, full, w.invert(w.pin("s_axil_rready", 1)))), reset=True)
        w.drive("s_axil_arready", w.invert(full))
        w.drive("s_axil_rvalid", full)
        w.drive("s_axil_rdata", data)
        w.drive("s_axil_rresp", w.constant(0, 2))


def w_size(w: Any, v: Any) -> int:
    return int(w.width(v))
