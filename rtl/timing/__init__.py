"""Timing: delay models of device families, and the assignment of nets to pipeline stages."""

from __future__ import annotations

from rtl.timing.families import FAMILIES, GENERIC
from rtl.timing.model import Delay, Family

__all__ = ["FAMILIES", "GENERIC", "Delay", "Family", "family_of"]


def family_of(name: str | Family) -> Family:
    """The family called `name`, or a Family as it is; ValueError for an unknown name."""
    if isinstance(name, Family):
        return name
    if name not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, not {name!r}")
    return FAMILIES[name]
