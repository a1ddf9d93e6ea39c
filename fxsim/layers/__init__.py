"""Functions that build graph: every layer and unit is a block of ordinary ops, exact in every reading."""

from fxsim.layers.lmul import LMul, lmul, lmul_dot, lmul_matmul, lmul_product, lmul_raw
from fxsim.layers.lmul_fast import lmul_matmul_raw, lmul_product_raw
from fxsim.layers.small_float import small_float_decode, small_float_encode

__all__ = [
    "LMul", "lmul", "lmul_dot", "lmul_matmul", "lmul_matmul_raw", "lmul_product", "lmul_product_raw",
    "lmul_raw", "small_float_decode", "small_float_encode",
]  # fmt: skip
