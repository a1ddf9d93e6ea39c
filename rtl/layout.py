"""How the lanes of tensors lie in the packed payload of a stream: names, shapes, widths, exact packing."""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WORD = 32
"""Bits of one word of the packed form."""

INT64_LANE = 62
"""Widest lane that `Layout.unpack` returns as int64; wider lanes come back as Python integers."""

_CHUNK = 1 << 14  # samples packed at once, so that the columns of a chunk stay in cache


@dataclass(frozen=True)
class Port:
    """One tensor of a payload: `prod(shape)` lanes in C order, each `width` bits.

    `width` counts the sign bit, `frac` is the binary point (value = raw * 2**-frac) and is carried for
    readers only. Raises TypeError or ValueError that names the field.
    """

    name: str
    shape: tuple[int, ...]
    width: int
    signed: bool = True
    frac: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier() or keyword.iskeyword(self.name):
            raise ValueError(f"name must be an identifier, not {self.name!r}")
        shape = tuple(self.shape)
        if not all(isinstance(n, (int, np.integer)) and n >= 1 for n in shape):
            raise ValueError(f"shape of port {self.name!r} must be positive integers, not {self.shape!r}")
        object.__setattr__(self, "shape", tuple(int(n) for n in shape))
        for field in ("width", "frac"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise TypeError(f"{field} of port {self.name!r} must be an integer, not {value!r}")
            object.__setattr__(self, field, int(value))
        if self.width < 1:
            raise ValueError(f"width of port {self.name!r} must be at least 1, not {self.width!r}")
        object.__setattr__(self, "signed", bool(self.signed))

    @property
    def lanes(self) -> int:
        return math.prod(self.shape)

    @property
    def bits(self) -> int:
        return self.lanes * self.width

    @property
    def lo(self) -> int:
        """Least raw value of a lane."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def hi(self) -> int:
        """Greatest raw value of a lane."""
        return (1 << (self.width - 1)) - 1 if self.signed else (1 << self.width) - 1

    @property
    def lane_names(self) -> list[str]:
        """`name` of a scalar, `name_0_3` for element [0, 3] of a matrix: without commas, for CSV headers."""
        return ["_".join([self.name, *map(str, index)]) for index in np.ndindex(*self.shape)]


@dataclass(frozen=True)
class Layout:
    """The ports of one payload, lane 0 of port 0 in the least significant bits, no padding anywhere.

    The packed form of n samples is a uint32 array of shape (n, words), least significant word first, the bits
    above `bits` zero. Packing and unpacking lose nothing: a value that its lane cannot hold is a ValueError.
    """

    ports: tuple[Port, ...]

    def __post_init__(self) -> None:
        ports = tuple(self.ports)
        if not ports or not all(isinstance(port, Port) for port in ports):
            raise ValueError(f"ports must be at least one Port, not {self.ports!r}")
        names = [port.name for port in ports]
        if len(set(names)) != len(names):
            raise ValueError(f"port names must differ, not {names!r}")
        object.__setattr__(self, "ports", ports)

    @property
    def bits(self) -> int:
        """Width of the payload."""
        return sum(port.bits for port in self.ports)

    @property
    def words(self) -> int:
        """32-bit words of one packed sample."""
        return -(-self.bits // WORD)

    @property
    def offsets(self) -> tuple[int, ...]:
        """First bit of every port."""
        out, at = [], 0
        for port in self.ports:
            out.append(at)
            at += port.bits
        return tuple(out)

    @property
    def header(self) -> list[str]:
        """One CSV column name per lane, lane 0 of port 0 first."""
        return [name for port in self.ports for name in port.lane_names]

    def lane(self, index: int) -> tuple[Port, tuple[int, ...]]:
        """Port and element index of flat lane `index` over all ports."""
        for port in self.ports:
            if index < port.lanes:
                return port, tuple(int(i) for i in np.unravel_index(index, port.shape)) if port.shape else ()
            index -= port.lanes
        raise IndexError(f"lane must be below {sum(port.lanes for port in self.ports)}")

    # ---- arrays <-> words ----

    def arrays(self, values: Any) -> list[np.ndarray]:
        """`values` as one checked integer array (n, *shape) per port.

        Accepts a sequence in port order, a mapping by name, or for a single port the bare array. Raises
        TypeError for a dtype that is not an integer and ValueError for a wrong shape, count, or value, each
        naming the port.
        """
        if isinstance(values, Mapping):
            missing = [port.name for port in self.ports if port.name not in values]
            extra = [name for name in values if name not in {port.name for port in self.ports}]
            if missing or extra:
                raise ValueError(f"ports must be {self._names()}, not {list(values)!r}")
            items = [values[port.name] for port in self.ports]
        elif isinstance(values, np.ndarray) or not isinstance(values, Sequence):
            items = [values]
        else:
            items = list(values)
        if len(items) != len(self.ports):
            raise ValueError(
                f"there must be one array for each of the ports {self._names()}, not {len(items)}"
            )
        out = [_checked(port, item) for port, item in zip(self.ports, items, strict=True)]
        counts = [len(array) for array in out]
        if len(set(counts)) > 1:
            raise ValueError(f"ports {self._names()} must have equally many samples, not {counts!r}")
        return out

    def pack(self, values: Any) -> np.ndarray:
        """Integer arrays (n, *shape) -> uint32 words (n, words); takes and raises what `arrays` does."""
        arrays = self.arrays(values)
        count = len(arrays[0])
        out = np.empty((count, self.words), np.uint32)
        for start in range(0, count, _CHUNK):
            stop = min(start + _CHUNK, count)
            columns = np.zeros((self.words + 1, stop - start), np.uint32)
            for port, offset, array in zip(self.ports, self.offsets, arrays, strict=True):
                lanes = array[start:stop].reshape(stop - start, port.lanes)
                if port.width <= WORD and array.dtype != object:
                    lanes = lanes.astype(
                        np.uint32
                    )  # narrow before the transposition, which is bound by memory
                lanes = np.ascontiguousarray(lanes.T)
                for low, size, limb in _limbs(port.width, lanes):
                    for lane in range(port.lanes):
                        word, shift = divmod(offset + lane * port.width + low, WORD)
                        columns[word] |= limb[lane] << np.uint32(shift)
                        if shift + size > WORD:
                            columns[word + 1] |= limb[lane] >> np.uint32(WORD - shift)
            out[start:stop] = columns[: self.words].T
        return out

    def unpack(self, words: np.ndarray) -> list[np.ndarray]:
        """Words (n, words) -> an array (n, *shape) per port: int64, or Python integers above 62 bits."""
        words = self._words(words)
        count = len(words)
        out = [
            np.empty((count, port.lanes), np.int64 if port.width <= INT64_LANE else object)
            for port in self.ports
        ]
        for start in range(0, count, _CHUNK):
            stop = min(start + _CHUNK, count)
            columns = np.zeros((self.words + 1, stop - start), np.uint32)
            columns[: self.words] = words[start:stop].T
            for port, offset, array in zip(self.ports, self.offsets, out, strict=True):
                array[start:stop] = _lanes(port, offset, columns).T
        return [array.reshape(count, *port.shape) for port, array in zip(self.ports, out, strict=True)]

    # ---- words <-> text and integers ----

    def hex_lines(self, words: np.ndarray) -> list[str]:
        """One lower-case hexadecimal number of ceil(bits / 4) digits a sample, as `$readmemh` reads."""
        words = self._words(words)
        digits, width = -(-self.bits // 4), 8 * self.words
        text = words[:, ::-1].astype(">u4").tobytes().hex()
        return [text[at + width - digits : at + width] for at in range(0, width * len(words), width)]

    def bit_strings(self, words: np.ndarray) -> list[str]:
        """One string of `bits` binary digits a sample, most significant first."""
        words = self._words(words)
        octets = np.ascontiguousarray(words.astype("<u4")).view(np.uint8).reshape(len(words), 4 * self.words)
        digits = np.unpackbits(octets, axis=1, bitorder="little", count=self.bits)[:, ::-1] + np.uint8(48)
        return np.ascontiguousarray(digits).view(f"S{self.bits}").ravel().astype(str).tolist()

    def from_bit_strings(self, strings: Sequence[str]) -> np.ndarray:
        """The inverse of `bit_strings`; ValueError for a digit that is not 0 or 1 (X, Z elsewhere)."""
        for index, text in enumerate(strings):
            if len(text) != self.bits:
                raise ValueError(f"sample {index} must have {self.bits} bits, not {len(text)}")
        raw = "".join(strings).encode("ascii", "replace")
        digits = np.frombuffer(raw, np.uint8).reshape(len(strings), self.bits)
        bad = (digits & 0xFE) != 48
        if bad.any():
            index = int(np.argmax(bad.any(axis=1)))
            raise ValueError(f"sample {index} must be binary digits, not {strings[index]!r}")
        octets = np.packbits(digits[:, ::-1] & 1, axis=1, bitorder="little")
        out = np.zeros((len(strings), 4 * self.words), np.uint8)
        out[:, : octets.shape[1]] = octets
        return out.view("<u4").astype(np.uint32)

    def integers(self, words: np.ndarray) -> list[int]:
        """One Python integer a sample."""
        words = self._words(words)
        raw, size = words.astype("<u4").tobytes(), 4 * self.words
        return [int.from_bytes(raw[at : at + size], "little") for at in range(0, size * len(words), size)]

    # ---- as data ----

    def to_json(self) -> dict[str, Any]:
        return {
            "bits": self.bits,
            "ports": [
                {
                    "name": port.name,
                    "shape": list(port.shape),
                    "width": port.width,
                    "signed": port.signed,
                    "frac": port.frac,
                    "offset": offset,
                }
                for port, offset in zip(self.ports, self.offsets, strict=True)
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Layout:
        try:
            ports = [
                Port(p["name"], tuple(p["shape"]), p["width"], p["signed"], p["frac"]) for p in data["ports"]
            ]
        except (KeyError, TypeError) as error:
            raise ValueError(f"layout must be the data that to_json gives, not {data!r}") from error
        return cls(tuple(ports))

    def _names(self) -> str:
        return ", ".join(port.name for port in self.ports)

    def _words(self, words: np.ndarray) -> np.ndarray:
        words = np.asarray(words)
        if words.dtype != np.uint32 or words.ndim != 2 or words.shape[1] != self.words:
            raise ValueError(
                f"words must be uint32 of shape (n, {self.words}), not {words.dtype} of {words.shape}"
            )
        return words


def _checked(port: Port, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype == object:
        for value in array.ravel():
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise TypeError(f"values of port {port.name!r} must be integers, not {value!r}")
    elif array.dtype.kind not in "iu":
        raise TypeError(f"values of port {port.name!r} must be integers, not {array.dtype}")
    if array.ndim != len(port.shape) + 1 or array.shape[1:] != port.shape:
        expected = ", ".join(["n", *map(str, port.shape)])
        raise ValueError(f"values of port {port.name!r} must have shape ({expected}), not {array.shape}")
    if array.size:
        least, most = int(array.min()), int(array.max())
        if least < port.lo or most > port.hi:
            wide = array.astype(object)
            index = tuple(int(i) for i in np.argwhere((wide < port.lo) | (wide > port.hi))[0])
            raise ValueError(
                f"value of port {port.name!r} at {index} must be in [{port.lo}, {port.hi}], "
                f"not {int(array[index])!r}"
            )
    return array


def _limbs(width: int, lanes: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Cut lanes into two's complement limbs: (first bit, bits, uint32 array of the same shape)."""
    for low in range(0, width, WORD):
        size = min(WORD, width - low)
        mask = (1 << size) - 1
        if lanes.dtype == object:
            limb = ((lanes >> low) & mask).astype(np.uint32)
        elif low < 8 * lanes.dtype.itemsize:
            limb = (lanes >> lanes.dtype.type(low) if low else lanes).astype(np.uint32)
            limb &= np.uint32(mask)
        else:  # above the carrier's bits: the sign
            limb = (lanes < 0).astype(np.uint32) * np.uint32(mask)
        yield low, size, limb


def _lanes(port: Port, offset: int, columns: np.ndarray) -> np.ndarray:
    """The lanes (lanes, n) of one port, read from word columns (words + 1, n)."""
    if port.width <= WORD:  # the sign by shifts in one 32-bit word: four times faster than in int64
        left = np.uint32(WORD - port.width)
        short = np.empty((port.lanes, columns.shape[1]), np.uint32)
        for lane in range(port.lanes):
            word, shift = divmod(offset + lane * port.width, WORD)
            np.right_shift(columns[word], np.uint32(shift), out=short[lane])
            if shift + port.width > WORD:
                short[lane] |= columns[word + 1] << np.uint32(WORD - shift)
        short <<= left
        return short.view(np.int32) >> np.int32(left) if port.signed else short >> left
    narrow = port.width <= INT64_LANE
    out = np.zeros((port.lanes, columns.shape[1]), np.int64 if narrow else object)
    for lane in range(port.lanes):
        for low in range(0, port.width, WORD):
            size = min(WORD, port.width - low)
            word, shift = divmod(offset + lane * port.width + low, WORD)
            limb = columns[word] >> np.uint32(shift)
            if shift + size > WORD:
                limb |= columns[word + 1] << np.uint32(WORD - shift)
            limb &= np.uint32((1 << size) - 1)
            if narrow:
                out[lane] |= limb.astype(np.int64) << np.int64(low)
            else:
                out[lane] += limb.astype(object) << low
    if port.signed:
        half = 1 << (port.width - 1)
        out = (out ^ half) - half
    return out
