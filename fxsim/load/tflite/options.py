"""What is read of each operator's options: the schema's class, and its fields with their defaults."""

from __future__ import annotations

from typing import Any

_WINDOW: dict[str, Any] = {"Padding": 0, "StrideH": 1, "StrideW": 1, "FusedActivationFunction": 0}
_DILATED = _WINDOW | {"DilationHFactor": 1, "DilationWFactor": 1}
_POOL = _WINDOW | {"FilterHeight": 1, "FilterWidth": 1}
_FUSED: dict[str, Any] = {"FusedActivationFunction": 0}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "ADD": ("AddOptions", _FUSED),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL),
    "CONCATENATION": ("ConcatenationOptions", _FUSED | {"Axis": 0}),
    "CONV_2D": ("Conv2DOptions", _DILATED),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", {"BlockSize": 1}),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", _DILATED | {"DepthMultiplier": 1}),
    "FULLY_CONNECTED": ("FullyConnectedOptions", _FUSED | {"WeightsFormat": 0, "KeepNumDims": False}),
    "GATHER": ("GatherOptions", {"Axis": 0, "BatchDims": 0}),
    "GELU": ("GeluOptions", {"Approximate": False}),
    "LEAKY_RELU": ("LeakyReluOptions", {"Alpha": 0.0}),
    "MAX_POOL_2D": ("Pool2DOptions", _POOL),
    "MEAN": ("ReducerOptions", {"KeepDims": False}),
    "MUL": ("MulOptions", _FUSED),
    "PACK": ("PackOptions", {"Axis": 0, "ValuesCount": 0}),
    "REDUCE_MAX": ("ReducerOptions", {"KeepDims": False}),
    "REDUCE_MIN": ("ReducerOptions", {"KeepDims": False}),
    "RESHAPE": ("ReshapeOptions", {"NewShape": ()}),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", {"AlignCorners": False, "HalfPixelCenters": False}),
    "RESIZE_NEAREST_NEIGHBOR": (
        "ResizeNearestNeighborOptions", {"AlignCorners": False, "HalfPixelCenters": False},
    ),
    "SOFTMAX": ("SoftmaxOptions", {"Beta": 1.0}),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", {"BlockSize": 1}),
    "SPLIT": ("SplitOptions", {"NumSplits": 0}),
    "SQUEEZE": ("SqueezeOptions", {"SqueezeDims": ()}),
    "STRIDED_SLICE": (
        "StridedSliceOptions",
        {"BeginMask": 0, "EndMask": 0, "EllipsisMask": 0, "NewAxisMask": 0, "ShrinkAxisMask": 0},
    ),
    "SUB": ("SubOptions", _FUSED),
    "TRANSPOSE_CONV": ("TransposeConvOptions", _WINDOW),
    "UNPACK": ("UnpackOptions", {"Num": 0, "Axis": 0}),
}  # fmt: skip
ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}
PADDINGS = {0: "SAME", 1: "VALID"}
