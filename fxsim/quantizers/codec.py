"""The form of every quantizer: real values to integer codes, and codes to the exact values they stand for."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from fxsim.integers import Array, exact, to_object


class Codec(ABC):
    """A number system for tensors: value = scale * raw * 2**-frac, and raw a function of the code alone.

    Subclasses are frozen dataclasses; `register` gives them the name by which `describe` knows them. What a
    codec needs to know of the values (a maximum, a mean) is a parameter of it, made by its `fit`.

    frac   exact point of `raw`, at least 0
    bits   of a code
    scale  real factor of all values, exact; no hardware holds it: it joins the requantization behind a sum
    """

    name: ClassVar[str] = ""
    frac: int
    bits: int
    scale: Fraction = Fraction(1)

    @abstractmethod
    def encode(self, values: Any) -> Array:
        """Codes, integers >= 0 or signed as the class says, of real values in the same shape.

        Raises ValueError for NaN and infinity, with the first bad index; TypeError for what is no number.
        """

    @abstractmethod
    def raw(self, codes: Any) -> Array:
        """Exact integers: value / scale * 2**frac of every code. Raises ValueError for no code."""

    def quantize(self, values: Any) -> Array:
        """Raw integers of the values nearest by this codec's rule."""
        return self.raw(self.encode(values))

    def decode(self, codes: Any) -> NDArray[np.float64]:
        """Values of codes in float64, rounded where it cannot hold them."""
        unit = self.scale / 2**self.frac
        raw = to_object(self.raw(codes))
        values = [float(int(r) * unit) for r in raw.ravel()]
        return np.array(values, np.float64).reshape(raw.shape)


Class = TypeVar("Class", bound=type[Codec])
_CODECS: dict[str, type[Codec]] = {}


def register(name: str) -> Any:
    """Class decorator: `names` and `describe` know the codec by this name, which must be new."""

    def add(cls: Class) -> Class:
        if name in _CODECS:
            raise ValueError(f"name of a codec must be new, not {name!r}, which is {_CODECS[name].__name__}")
        cls.name = name
        _CODECS[name] = cls
        return cls

    return add


def names() -> tuple[str, ...]:
    """The registered codecs, sorted."""
    return tuple(sorted(_CODECS))


def describe(name: str) -> str:
    """What a codec is: its name and call, and its docstring with formula, parameters and source.

    Raises ValueError for a name that no codec has.
    """
    if name not in _CODECS:
        raise ValueError(f"name must be one of {', '.join(names())}, not {name!r}")
    cls = _CODECS[name]
    call = inspect.signature(cls).replace(return_annotation=inspect.Signature.empty)
    return f"{name}: {cls.__name__}{call}\n\n{inspect.getdoc(cls)}"


def fractions(values: Any) -> Array:
    """Real values as exact Fractions (object array): floats as the dyadic numbers they are.

    Raises ValueError for NaN and infinity, naming the first bad index; TypeError for what is no real number.
    """
    a = np.asarray(values)
    if a.dtype.kind == "f":
        bad = np.argwhere(~np.isfinite(a))
        if len(bad):
            at = tuple(int(i) for i in bad[0])
            raise ValueError(f"values must be finite, not {a[at]} at index {at}")
    elif a.dtype.kind not in "iubO":
        raise TypeError(f"values must be real numbers, not {a.dtype}")
    out = np.empty(a.shape, object)
    for i, v in np.ndenumerate(a):
        if not isinstance(v, (int, float, Fraction, np.integer, np.floating, np.bool_)) or v != v:
            raise TypeError(f"values must be real numbers, not {v!r} at index {i}")
        # NumPy's floats of other widths are no rational numbers, but know their ratio.
        whole = isinstance(v, (int, np.integer, np.bool_))
        out[i] = Fraction(int(v)) if whole else Fraction(*v.as_integer_ratio())  # type: ignore[union-attr]
    return out


def code_array(codes: Any, least: int, most: int, what: str = "codes") -> Array:
    """Integer codes, all in least..most; ValueError names the first that is not."""
    a = exact(codes)
    bad = np.argwhere((a < least) | (a > most))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        raise ValueError(f"{what} must lie in {least}..{most}, not {int(a[at])} at {at}")
    return a
