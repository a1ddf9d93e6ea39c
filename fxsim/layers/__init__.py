"""Functions that build graph: every layer and unit is a block of ordinary ops, exact in every reading."""

from fxsim.layers.lmul import LMul, lmul_adder, lmul_code, lmul_dot, lmul_matmul, lmul_product
from fxsim.layers.lmul_fast import lmul_matmul_raw, lmul_product_raw
from fxsim.layers.shared_exponent import (
    Shared,
    chunk_length,
    shared_add,
    shared_matmul,
    shared_multiply,
    shared_quantize,
    shared_renormalise,
    shared_value,
)
from fxsim.layers.small_float import small_float_decode, small_float_encode

__all__ = [
    "LMul", "Shared", "chunk_length", "lmul_adder", "lmul_code", "lmul_dot", "lmul_matmul",
    "lmul_matmul_raw", "lmul_product", "lmul_product_raw", "shared_add", "shared_matmul", "shared_multiply",
    "shared_quantize", "shared_renormalise", "shared_value", "small_float_decode", "small_float_encode",
]  # fmt: skip
