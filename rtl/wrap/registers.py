"""The register map of the AXI4-Lite block as data, and as Markdown and a C header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rtl.wrap.lanes import Beat, slot
from rtl.wrap.parts import Parts

IDENTITY = 0x4658534D
"""What ID reads: "FXSM"."""

VERSION = 0x00010000
"""What VERSION reads: major in the upper half, minor in the lower."""

PAGE_BITS = 6
"""Address bits of the registers: 16 of 32 bits."""


@dataclass(frozen=True)
class Field:
    """A bit of a register. access: "ro"; "w1c", a 1 clears it; "w1s", a 1 acts and reads 0."""

    name: str
    bit: int
    access: str
    description: str


@dataclass(frozen=True)
class Register:
    """32 bits at a byte offset. access: "ro" or "rw", where the fields tell what a write does."""

    name: str
    offset: int
    access: str
    description: str
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Window:
    """Where the weights of a core are written: entry k at `offset` + k * `stride`, lowest word first.

    An entry has `words` words of 32 bits. The write of the last one, with all byte strobes, moves the entry
    into the core; the words before it wait in the block until then. Reads give 0.
    """

    address_bits: int
    data_bits: int

    @property
    def words(self) -> int:
        return -(-self.data_bits // 32)

    @property
    def word_bits(self) -> int:
        """Address bits that choose a word within an entry."""
        return (self.words - 1).bit_length()

    @property
    def stride(self) -> int:
        return 4 << self.word_bits

    @property
    def offset_bits(self) -> int:
        """The address bit that is 1 in the window: registers and window are of one size then."""
        return max(PAGE_BITS, self.address_bits + self.word_bits + 2)

    @property
    def offset(self) -> int:
        return 1 << self.offset_bits

    def writes(self, address: int, word: int) -> list[tuple[int, int]]:
        """The (byte address, 32 bits) to write, in this order, so that the core stores `word` at `address`.

        `core.weights.writes(block, weights)` of a folded core gives such pairs. ValueError for an entry that
        is not there, or bits that it does not have.
        """
        if not 0 <= address < 1 << self.address_bits:
            raise ValueError(f"address must be in 0..{(1 << self.address_bits) - 1}, not {address!r}")
        if not 0 <= word < 1 << self.data_bits:
            raise ValueError(f"word must be unsigned, of {self.data_bits} bits, not {word!r}")
        first = self.offset + address * self.stride
        return [(first + 4 * k, word >> 32 * k & 0xFFFFFFFF) for k in range(self.words)]


def address_bits(window: Window | None) -> int:
    """Width of s_axil_awaddr and s_axil_araddr."""
    return window.offset_bits + 1 if window else PAGE_BITS


def register_map(parts: Parts) -> list[Register]:
    """The registers of a wrapped core, by offset; those that its core has no use for are left out."""
    control = [
        Field("RESET", 0, "w1s", "empties the core and clears errors and counters"),
        Field("CLEAR", 1, "w1s", "clears the counters"),
    ]
    if parts.has("cancel"):
        control.append(Field("CANCEL", 2, "w1s", "ends every problem inside, status aborted"))
    status = (
        Field("BUSY", 0, "ro", "a frame, or a part of one, is inside"),
        Field("EARLY_TLAST", 1, "w1c", "s_axis_tlast came before the last transfer of a frame"),
        Field("MISSING_TLAST", 2, "w1c", "the last transfer of a frame came without s_axis_tlast"),
    )
    counts = [
        ("FRAMES_IN", "frames taken whole from s_axis"),
        ("FRAMES_OUT", "frames handed out whole on m_axis"),
        ("STALLS_IN", "clock cycles with s_axis_tvalid and without s_axis_tready"),
        ("STALLS_OUT", "clock cycles with m_axis_tvalid and without m_axis_tready"),
        ("CYCLES", "clock cycles"),
    ]
    return [
        Register("ID", 0x00, "ro", f"0x{IDENTITY:08x}"),
        Register("VERSION", 0x04, "ro", f"0x{VERSION:08x}: of this map, major and minor in 16 bits each"),
        Register("CONTROL", 0x08, "rw", "acts at once and reads 0", tuple(control)),
        Register("STATUS", 0x0C, "rw", "state, and errors until they are cleared", status),
        *(
            Register(name, 0x10 + 4 * k, "ro", f"{text} since reset or clear, modulo 2^32")
            for k, (name, text) in enumerate(counts)
        ),
        Register("BEATS_IN", 0x24, "ro", f"{parts.beats_in}: transfers of a frame on s_axis"),
        Register("BEATS_OUT", 0x28, "ro", f"{parts.beats_out}: transfers of a frame on m_axis"),
    ]


def lines(registers: Sequence[Register], window: Window | None) -> list[str]:
    """The map as plain lines, for the head of the Verilog."""
    out = []
    for r in registers:
        out.append(f"0x{r.offset:02x} {r.name} {r.access}: {r.description}")
        out += [f"       bit {f.bit} {f.name} {f.access}: {f.description}" for f in r.fields]
    if window:
        out.append(f"0x{window.offset:x} weights: {_window(window)}")
    return out


def _window(window: Window) -> str:
    return (
        f"{1 << window.address_bits} entries of {window.data_bits} bits, one each {window.stride} bytes, "
        f"{window.words} word(s) of 32 bits, the last of which writes the entry; write only"
    )


def markdown(registers: Sequence[Register], window: Window | None) -> str:
    """The map as a Markdown table."""
    rows = ["| offset | register | bit | access | meaning |", "|---|---|---|---|---|"]
    for r in registers:
        rows.append(f"| 0x{r.offset:02x} | {r.name} | | {r.access} | {r.description} |")
        rows += [f"| | | {f.bit} {f.name} | {f.access} | {f.description} |" for f in r.fields]
    if window:
        rows.append(f"| 0x{window.offset:x} | weights | | wo | {_window(window)} |")
    return "\n".join(rows) + "\n"


def c_header(
    top: str, beats: Sequence[tuple[str, int, Beat]], registers: Sequence[Register], window: Window | None
) -> str:
    """A C header: offsets, masks, and of each side the transfers, bytes, and ports of a frame."""
    prefix = re.sub(r"\W", "_", top).upper()
    rows = [f"/* {top}: written by fxsim */", f"#ifndef {prefix}_H", f"#define {prefix}_H", ""]

    def define(name: str, value: str, comment: str = "") -> None:
        rows.append(f"#define {prefix}_{name} {value}" + (f" /* {comment} */" if comment else ""))

    for side, count, beat in beats:
        define(f"{side}_BEATS", f"{count}u", "transfers of a frame")
        define(f"{side}_BEAT_BYTES", f"{beat.octets}u", "bytes of a transfer")
        for port, offset in zip(beat.padded.ports, beat.padded.offsets, strict=True):
            if beat.lane_bits == "packed":
                text = f"{port.lanes} lanes of {port.width} bits from bit {offset}, frac {port.frac}"
                define(f"{side}_{port.name.upper()}_BIT", f"{offset}u", text)
            else:
                kind = f"{'int' if port.signed else 'uint'}{slot(port.width)}_t[{port.lanes}]"
                define(f"{side}_{port.name.upper()}_BYTE", f"{offset // 8}u", f"{kind}, frac {port.frac}")
    if registers:
        rows.append("")
        define("ID_VALUE", f"0x{IDENTITY:08x}u")
        define("VERSION_VALUE", f"0x{VERSION:08x}u")
    for r in registers:
        define(r.name, f"0x{r.offset:02x}u", f"{r.access}: {r.description}")
        for f in r.fields:
            define(f"{r.name}_{f.name}", f"0x{1 << f.bit:x}u", f"{f.access}: {f.description}")
    if window:
        define("WEIGHTS", f"0x{window.offset:x}u", _window(window))
        define("WEIGHTS_ENTRIES", f"{1 << window.address_bits}u")
        define("WEIGHTS_STRIDE", f"{window.stride}u")
    return "\n".join([*rows, "", f"#endif /* {prefix}_H */", ""])
