"""A trap: the layer, its kind, and what to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fxsim.formats import Format
from hls.plugin.types import fmt


class TrapWarning(UserWarning):
    """hls4ml computes something that its user hardly means."""


@dataclass(frozen=True)
class Trap:
    """One finding.

    layer     the layer's name, "" for the whole model
    class_name  hls4ml's class of it
    kind      overflow, fallback, softmax, table, weights, ignored, maximum, quantizer,
              rounding, integer, input
    message   what happens, and what to change
    """

    layer: str
    class_name: str
    kind: str
    message: str

    @classmethod
    def of(cls, layer: Any, kind: str, message: str) -> Trap:
        """A finding about one of hls4ml's layers."""
        return cls(layer.name, layer.class_name, kind, message)

    def __str__(self) -> str:
        return f"layer {self.layer!r} ({self.class_name}): {self.message}" if self.layer else self.message


def fixed(kind: Any) -> Format | None:
    """The format of one of hls4ml's types; None for what is no fixed-point type."""
    try:
        return fmt(kind)
    except (ValueError, NotImplementedError):
        return None


def short(form: Format) -> str:
    """A format as in hls4ml's configuration."""
    modes = []
    if form.rounding != "TRN" or form.overflow != "WRAP":
        modes = [str(form.rounding), str(form.overflow)]
    return f"{'' if form.signed else 'u'}fixed<{','.join([str(form.width), str(form.int_bits), *modes])}>"


def span(form: Format) -> str:
    """The values that a format holds."""
    return f"{float(form.lo * form.lsb):g}..{float(form.hi * form.lsb):g}"
