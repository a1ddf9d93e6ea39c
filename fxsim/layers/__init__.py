"""Functions that build graph: every layer and unit is a block of ordinary ops, exact in every reading."""

from fxsim.layers.adder_net import adder_dot, distance
from fxsim.layers.affine_product import affine_matmul
from fxsim.layers.dyadic import Dyadic
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
from fxsim.layers.error_feedback import econtrol, error_feedback
from fxsim.layers.few_bit import slope_code, slope_product, slope_shift
from fxsim.layers.fracbnn import gated_dot, post_conv, thermometer, two_bit
from fxsim.layers.function_unit import FunctionUnit
from fxsim.layers.functions import exp, exp2, gelu, log2, reciprocal, rsqrt, sigmoid, tanh
from fxsim.layers.gates import gate_layer, group_sum
from fxsim.layers.ibert import IntExp, IntGelu, IntSoftmax
from fxsim.layers.layer_norm import IntLayerNorm, integer_sqrt
from fxsim.layers.leading_one import Exp2, Log2, Reciprocal, Rsqrt
from fxsim.layers.lfsr import Lfsr
from fxsim.layers.linear import conv2d, dense
from fxsim.layers.lmul import LMul, lmul_adder, lmul_code, lmul_dot, lmul_matmul, lmul_product
from fxsim.layers.lmul_fast import lmul_matmul_raw, lmul_product_raw
from fxsim.layers.muvera import Muvera, ternary_planes
from fxsim.layers.power_exponent import power_decode, power_encode, power_matmul
from fxsim.layers.requantize import requantize
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
from fxsim.layers.shared_mac import shared_mac
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
from fxsim.layers.softmax import Softmax
from fxsim.layers.sparse import gather_by_nibbles, gather_packed, sparse_dot, sparse_dot_by_nibbles
from fxsim.layers.spsa import Spsa, descend, gaussian_bound, likelihood_regret, weighted_squares
from fxsim.layers.stochastic import stochastic_cast, stochastic_rounder
from fxsim.layers.table_neurons import table_layer
from fxsim.layers.xnor import batch_norm_sign, fold_batch_norm, sign_bits, xnor_conv, xnor_dot, xnor_layer

__all__ = [
    "Dyadic", "Exp2", "FunctionUnit", "IntExp", "IntGelu", "IntLayerNorm", "IntSoftmax",
    "LMul", "Lfsr", "Log2", "Muvera", "Reciprocal", "Rsqrt", "Shared", "Softmax", "Spsa", "adder_dot",
    "affine_matmul", "average_pool", "batch_norm", "batch_norm_constants", "batch_norm_sign",
    "chunk_length", "conv2d", "decode_fields", "dense", "descend", "distance", "downsample",
    "econtrol", "error_feedback", "exp", "exp2", "fold_batch_norm", "gate_layer", "gated_dot",
    "gather_by_nibbles", "gather_packed", "gaussian_bound", "gelu", "group_sum", "integer_sqrt",
    "likelihood_regret", "lmul_adder", "lmul_code", "lmul_dot", "lmul_matmul",
    "lmul_matmul_raw", "lmul_product", "lmul_product_raw", "log2", "max_pool", "post_conv",
    "power_decode", "power_encode", "power_matmul", "prelu", "reciprocal", "relu", "requantize", "rsqrt",
    "shared_add", "shared_mac", "shared_matmul", "shared_multiply", "shared_quantize", "shared_renormalise",
    "shared_value", "shift_accumulate", "shift_accumulator", "shift_dot", "shift_matmul",
    "shift_matmul_raw", "shift_product", "shortcut", "sigmoid", "sign_bits", "slope_code",
    "slope_product", "slope_shift", "small_float_decode", "small_float_encode", "sparse_dot",
    "sparse_dot_by_nibbles", "stochastic_cast", "stochastic_rounder", "table_layer", "tanh",
    "ternary_planes", "thermometer", "two_bit", "weighted_squares", "xnor_conv", "xnor_dot", "xnor_layer",
]  # fmt: skip
