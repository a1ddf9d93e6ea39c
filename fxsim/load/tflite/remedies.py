"""What a TFLite file must be instead: the texts of errors about types and operators."""

from __future__ import annotations

FLOAT_REMEDY = (
    "convert the model to full integer quantization: optimizations = [tf.lite.Optimize.DEFAULT], a "
    "representative_dataset, and target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]"
)
OTHER_TYPES = {
    "UINT8": "has uint8 codes, the legacy scheme, which may only stand before or behind a QUANTIZE; convert "
    "with int8 (TFLITE_BUILTINS_INT8)",
    "INT16": "has int16 codes (16x8 quantization); convert with int8 activations (TFLITE_BUILTINS_INT8)",
    "FLOAT16": f"is float16; {FLOAT_REMEDY}",
    "FLOAT32": f"is float32; {FLOAT_REMEDY}",
}
NEAREST = {
    "RESIZE_BICUBIC": "RESIZE_BILINEAR",
    "DIV": "MUL by the reciprocal",
    "LOG_SOFTMAX": "SOFTMAX",
    "SQUARED_DIFFERENCE": "SUB and MUL",
    "BATCH_MATMUL": "FULLY_CONNECTED with constant weights",
    "L2_POOL_2D": "AVERAGE_POOL_2D",
    "CONV_3D": "CONV_2D",
    "MIRROR_PAD": "PAD",
    "TOPK_V2": "ARG_MAX",
    "ARG_MIN": "ARG_MAX",
    "SUM": "MEAN (the runtime sums int8 codes as if they were uint8)",
}
STATEFUL = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE", "SVDF", "LSTM", "RNN", "WHILE")


def advice(op: str, supported: list[str]) -> str:
    """What to do about an operator without a handler."""
    if op in NEAREST:
        return f"the nearest that has one is {NEAREST[op]}"
    if any(word in op for word in STATEFUL):
        return "it keeps state between calls; convert a model that gets its state as an input"
    return f"supported are {', '.join(supported)}; convert a model without it"
