"""Casts in C++: an assignment to an ap_fixed variable where ap_fixed has the mode, integer code elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from fxsim.formats import Format, Overflow, Rounding
from fxsim.ops import Cast
from hls.lower.code import Code


def cast_code(
    op: Cast, src_frac: int, code: Code, frac: int, width: int, signed: int
) -> Callable[[str], str]:
    """Text of the cast from type `code` with `src_frac` fraction bits to one (frac, width, signed)."""
    if width == 0:
        return lambda x: "0"
    shift = src_frac - frac
    to_odd = op.rounding is Rounding.RND_CONV_ODD and shift > 0
    sign_magnitude = op.overflow is Overflow.WRAP_SM and op.n == 0
    rounding = Rounding.TRN if op.rounding is Rounding.RND_CONV_ODD else op.rounding
    target = Format(width, width - frac, bool(signed), rounding, op.overflow, op.n)
    # ap_fixed refuses to round away more bits than its source declares; more of them change nothing ...
    declared = max(code.width, shift + 2)
    if sign_magnitude:
        # ... but for WRAP_SM with N = 0, which reads a bit of the source if it is within the declared width.
        source_width = op.source_width or 0
        if not to_odd and source_width >= declared:
            return lambda x: _assigned(x, source_width, src_frac, target)
        return _wrap_sign_magnitude(op, src_frac, code, target, declared, to_odd)
    if not to_odd:
        return lambda x: _assigned(x, declared, src_frac, target)
    rounded = Code(max(code.width, shift) + 2, True)
    return lambda x: _assigned(
        f"fx::round_to_odd<{rounded.width}, {shift}>({x})", rounded.width, frac, target
    )


def _assigned(x: str, source_width: int, src_frac: int, target: Format) -> str:
    return f"fx::cast<{source_width}, {src_frac}, {ap_type(target)}>({x})"


def _wrap_sign_magnitude(
    op: Cast, src_frac: int, code: Code, target: Format, declared: int, to_odd: bool
) -> Callable[[str], str]:
    shift = src_frac - target.frac
    wide = declared + 2 + max(0, -shift)
    if to_odd:
        rounded = f"fx::round_to_odd<{wide}, {shift}>({{x}})"
    else:
        exact = Format(wide, wide - target.frac, True, target.rounding)
        rounded = _assigned("{x}", declared, src_frac, exact)
    bit = shift + target.width
    if not 0 <= bit < (op.source_width or 0):
        above = "false"
    elif bit < code.width:
        above = f"bool({{x}}[{bit}])"
    else:
        above = "{x} < 0" if code.signed else "false"
    return lambda x: f"fx::wrap_sign_magnitude<{target.width}>({rounded}, {above})".replace("{x}", x)


def ap_type(f: Format) -> str:
    """`f` as a C++ type, without the arguments that are the default."""
    name = f"ap_{'' if f.signed else 'u'}fixed<{f.width}, {f.int_bits}"
    modes = [f"AP_{f.rounding}", f"AP_{f.overflow}", str(f.saturation_bits)]
    while modes and modes[-1] == ("0", "AP_WRAP", "AP_TRN")[3 - len(modes)]:
        modes.pop()
    return ", ".join([name, *modes]) + ">"
