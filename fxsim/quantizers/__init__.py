"""Number systems as codecs: real values to integer codes, and codes to the exact values they stand for."""

from fxsim.quantizers.codec import Codec, describe, names, register

__all__ = ["Codec", "describe", "names", "register"]
