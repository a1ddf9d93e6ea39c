"""Number systems as codecs: real values to integer codes, and codes to the exact values they stand for."""

from fxsim.quantizers.affine import Affine, AffinePerChannel
from fxsim.quantizers.apot import APoT
from fxsim.quantizers.binary import Binary
from fxsim.quantizers.codec import Codec, describe, names, register
from fxsim.quantizers.few_bit import FewBit
from fxsim.quantizers.fixed_point import FixedPoint
from fxsim.quantizers.k_hot import KHot
from fxsim.quantizers.power_exponent import PowerExponent
from fxsim.quantizers.powers import INQ, DeepShift, PowerOfTwo
from fxsim.quantizers.shared_exponent import SharedExponent
from fxsim.quantizers.small_float import SmallFloat
from fxsim.quantizers.ternary import Ternary
from fxsim.quantizers.thermometer import Thermometer, TwoBit
from fxsim.quantizers.two_four import TwoFour

__all__ = [
    "INQ", "APoT", "Affine", "AffinePerChannel", "Binary", "Codec", "DeepShift", "FewBit", "FixedPoint",
    "KHot", "PowerExponent", "PowerOfTwo", "SharedExponent", "SmallFloat", "Ternary", "Thermometer",
    "TwoBit", "TwoFour", "describe", "names", "register",
]  # fmt: skip
