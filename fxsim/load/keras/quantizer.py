"""HGQ2's quantizers as the file holds them: a format for each element, rounding, overflow, scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim.encoders import float32_codes
from fxsim.formats import Overflow, Rounding
from fxsim.integers import Array
from fxsim.load.keras.archive import Group

ROUNDINGS = ("RND", "RND_CONV", "TRN", "TRN_ZERO", "RND_ZERO", "RND_MIN_INF", "RND_INF")
OVERFLOWS = ("WRAP", "SAT", "SAT_SYM")
CONFIGS = ("QuantizerConfig", "HardTanhConfig", "HardSigmoidConfig")
MAX_BITS = 64
FLOAT_BITS = 24


@dataclass(frozen=True, eq=False)
class Quantizer:
    """code = overflow(round(x / scaler * 2**frac)), real = code * 2**-frac * scaler * gain + shift.

    `frac`, `width`, `signed` are per element as the file has them (a batch axis of 1 first, for
    activations); a width of 0 gives 0. `only_rounds` marks weights that HGQ2 does not wrap.
    """

    name: str
    frac: Array
    width: Array
    signed: Array
    rounding: Rounding = Rounding.RND
    overflow: Overflow = Overflow.WRAP
    scaler: float = 1.0
    gain: float = 1.0
    shift: float = 0.0
    only_rounds: bool = False

    def elements(self, shape: tuple[int, ...], batch: bool) -> tuple[Array, Array, Array]:
        """(frac, width, signed) of a tensor of `shape`; ValueError where they do not broadcast to it."""
        full = (1, *shape) if batch else shape
        out = []
        for a in (self.frac, self.width, self.signed):
            try:
                wide = np.broadcast_to(a, full)
            except ValueError:
                raise ValueError(
                    f"quantizer {self.name!r} has formats of shape {a.shape} for a tensor {full}"
                ) from None
            out.append(wide[0] if batch else wide)
        return out[0], out[1], out[2]

    def codes(self, x: Array, frac: Array, width: Array, signed: Array) -> Array:
        """Integer codes of float32 numbers, each at its own frac, in the file's own arithmetic."""
        x = np.asarray(x, np.float32)
        if self.scaler != 1:
            x = x / np.float32(self.scaler)
        mode = None if self.only_rounds else self.overflow
        return float32_codes(x, frac, width, signed, self.rounding, mode)

    def reals(self, values: Array) -> Array:
        """The quantized float32 constants; ValueError for NaN, infinity or beyond 62 bits."""
        values = np.asarray(values, np.float32)
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            at = tuple(int(i) for i in bad[0])
            raise ValueError(
                f"quantizer {self.name!r} quantizes a constant that is {values[at]} at {at}; train it again"
            )
        frac, width, signed = self.elements(values.shape, batch=False)
        if np.any(np.abs(values.astype(np.float64)) * np.exp2(frac.astype(np.float64)) >= 2.0**62):
            raise ValueError(f"quantizer {self.name!r} makes codes of more than 62 bits; use fewer bits")
        code = self.codes(values, frac, width, signed)
        real = (code.astype(np.float64) * np.exp2(-frac.astype(np.float64))).astype(np.float32)
        if self.scaler != 1:
            real = real * np.float32(self.scaler)
        if self.gain != 1 or self.shift != 0:
            real = real * np.float32(self.gain) + np.float32(self.shift)
        return np.asarray(real)


def read_quantizer(name: str, conf: Any, group: Group | None) -> Quantizer | None:
    """The quantizer of a configuration and its group of weights; None for HGQ2's dummy, which does nothing.

    ValueError or NotImplementedError says what is not as HGQ2 0.2 writes it, and what to use instead.
    """
    config = configuration(name, conf)
    kind = str(config.get("q_type"))
    if kind == "dummy":
        return None
    if kind not in ("kif", "kbi"):
        raise NotImplementedError(
            f"quantizer {name!r} is of type {kind!r}; fixed-point quantizers are read: q_type 'kif' or 'kbi'"
        )
    rounding = str(config.get("round_mode")).upper().removeprefix("S_")
    overflow = str(config.get("overflow_mode")).upper()
    if rounding not in ROUNDINGS:
        raise ValueError(
            f"quantizer {name!r} has round_mode {config.get('round_mode')!r}; "
            f"use one of {', '.join(ROUNDINGS)}"
        )
    if overflow not in OVERFLOWS:
        raise NotImplementedError(
            f"quantizer {name!r} has overflow_mode {config.get('overflow_mode')!r}; "
            f"use one of {', '.join(OVERFLOWS)}"
        )
    mapper = config.get("bw_mapper")
    if mapper is not None and mapper.get("class_name") != "DefaultBitwidthMapper":
        raise NotImplementedError(
            f"quantizer {name!r} has the bw_mapper {mapper.get('class_name')!r}, which is code that the file "
            f"does not hold; use homogeneous_axis or heterogeneous_axis"
        )
    k, i, f = _kif(name, kind, overflow, group)
    # As HGQ2 infers: a format of no bits gives 0, and a symmetric one of one bit has no code but 0.
    bits = k + i + f
    width = np.where((bits > 0) & ~((overflow == "SAT_SYM") & (k == 1) & (bits == 1)), bits, 0)
    frac = np.where(width > 0, f, f[width > 0].min() if np.any(width > 0) else 0)
    signed = np.where(width > 0, k, 0)
    weight = bool(config.get("is_weight")) and bool(config.get("trainable", True)) and overflow == "WRAP"
    rounds = weight and (kind == "kif" or rounding == "RND")
    gain, shift = config.get("affine") or (1.0, 0.0)
    scaler = config.get("scaler")
    scale = 1.0 if scaler is None else float(scaler)
    if not np.all(np.isfinite([scale, gain, shift])) or scale == 0 or gain == 0:
        raise ValueError(
            f"quantizer {name!r} has scaler {scaler!r} and affine {(gain, shift)}; use finite ones, not 0"
        )
    if rounds:
        frac, width, signed = f, bits, k
    modes = Rounding(rounding), Overflow(overflow)
    return Quantizer(name, frac, width, signed, *modes, scale, float(gain), float(shift), rounds)


def configuration(name: str, conf: Any) -> Mapping[str, Any]:
    """The parameters of a serialized QuantizerConfig, those of its shorthands filled in."""
    if not isinstance(conf, dict) or conf.get("class_name") not in CONFIGS:
        found = conf.get("class_name") if isinstance(conf, dict) else conf
        raise NotImplementedError(
            f"quantizer {name!r} has a configuration of class {found!r}; use one of {', '.join(CONFIGS)}"
        )
    config: dict[str, Any] = dict(conf.get("config") or {})
    if conf["class_name"] == "HardTanhConfig":
        config |= {"overflow_mode": "SAT", "affine": None}
    elif conf["class_name"] == "HardSigmoidConfig":
        config |= {"overflow_mode": "SAT", "affine": (0.25, 0.5)}
    return config


def _kif(name: str, kind: str, overflow: str, group: Group | None) -> tuple[Array, Array, Array]:
    """Whole k, i, f from the variables, in the order in which Keras saves them: trained ones first."""
    held = group.child("quantizer") if group is not None else None
    variables = held.variables if held is not None else ()
    # Under WRAP i is not trained but follows the data, and comes after k.
    at = {"k": 1, "i": 2} if overflow == "WRAP" else {"i": 1 if kind == "kbi" else 0, "k": 2}
    other = 1 if overflow != "WRAP" and kind == "kif" else 0
    if len(variables) < 3 or variables[at["k"]].dtype.kind not in "ub":
        raise ValueError(
            f"quantizer {name!r} has {len(variables)} variables in the weights file, not k, i and "
            f"{'f' if kind == 'kif' else 'b'} as HGQ2 0.2 writes them; save the model with HGQ2 0.2 or later"
        )
    k, i, rest = (np.asarray(variables[j], np.float64) for j in (at["k"], at["i"], other))
    if not k.shape == i.shape == rest.shape:
        raise ValueError(f"quantizer {name!r} has bit widths of shapes {k.shape}, {i.shape} and {rest.shape}")
    i, rest = np.rint(i), np.rint(rest)
    f = rest - i if kind == "kbi" else rest
    bad = ~(np.isfinite(i) & np.isfinite(f)) | (np.abs(i) > MAX_BITS) | (np.abs(f) > MAX_BITS) | (k > 1)
    bad |= k + i + f > MAX_BITS
    if np.any(bad):
        where = tuple(int(v) for v in np.argwhere(bad)[0])
        raise ValueError(
            f"quantizer {name!r} has k, i, f = {k[where]:g}, {i[where]:g}, {f[where]:g} at {where}; "
            f"they must be whole, of at most {MAX_BITS} bits"
        )
    return k.astype(np.int64), i.astype(np.int64), f.astype(np.int64)
