"""Functions that build graph: every layer and unit is a block of ordinary ops, exact in every reading."""

from fxsim.layers.adder_net import adder_dot, distance
from fxsim.layers.elementwise import (
    average_pool,
    batch_norm,
    batch_norm_constants,
    downsample,
    max_pool,
    prelu,
    relu,
    shortcut,
)
from fxsim.layers.few_bit import slope_code, slope_product, slope_shift
from fxsim.layers.fracbnn import gated_dot, post_conv, thermometer, two_bit
from fxsim.layers.gates import gate_layer, group_sum
from fxsim.layers.linear import conv2d, dense
from fxsim.layers.lmul import LMul, lmul_adder, lmul_code, lmul_dot, lmul_matmul, lmul_product
from fxsim.layers.lmul_fast import lmul_matmul_raw, lmul_product_raw
from fxsim.layers.power_exponent import power_decode, power_encode, power_matmul
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
from fxsim.layers.shift_mac import (
    decode_fields,
    shift_accumulate,
    shift_accumulator,
    shift_dot,
    shift_matmul,
    shift_matmul_raw,
    shift_product,
)
from fxsim.layers.small_float import small_float_decode, small_float_encode
from fxsim.layers.sparse import gather_by_nibbles, gather_packed, sparse_dot, sparse_dot_by_nibbles
from fxsim.layers.table_neurons import table_layer
from fxsim.layers.xnor import batch_norm_sign, fold_batch_norm, sign_bits, xnor_conv, xnor_dot, xnor_layer

__all__ = [
    "LMul", "Shared", "adder_dot", "average_pool", "batch_norm", "batch_norm_constants", "batch_norm_sign",
    "chunk_length", "conv2d", "decode_fields", "dense", "distance", "downsample", "fold_batch_norm",
    "gate_layer", "gated_dot", "gather_by_nibbles", "gather_packed", "group_sum", "lmul_adder", "lmul_code",
    "lmul_dot", "lmul_matmul", "lmul_matmul_raw", "lmul_product", "lmul_product_raw", "max_pool",
    "post_conv", "power_decode", "power_encode", "power_matmul", "prelu", "relu", "shared_add",
    "shared_matmul", "shared_multiply", "shared_quantize", "shared_renormalise", "shared_value",
    "shift_accumulate", "shift_accumulator", "shift_dot", "shift_matmul", "shift_matmul_raw",
    "shift_product", "shortcut", "sign_bits", "slope_code", "slope_product", "slope_shift",
    "small_float_decode", "small_float_encode", "sparse_dot", "sparse_dot_by_nibbles", "table_layer",
    "thermometer", "two_bit", "xnor_conv", "xnor_dot", "xnor_layer",
]  # fmt: skip
