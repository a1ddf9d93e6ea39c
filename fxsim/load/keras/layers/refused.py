"""Layers without an integer form, each with the nearest one that has it."""

from __future__ import annotations

from fxsim.load.keras.loader import refuse

refuse(
    "runs Python code that is stored in the file, which fxsim never does; use layers of Keras or HGQ2",
    "Lambda",
)
refuse(
    "is recurrent, and a graph has no loop; unroll it by hand into QDense layers, or build a fxsim.Machine",
    "QSimpleRNN", "QGRU", "QLIF", "QLIFCell", "QSimpleSNN", "QSimpleSNNCell",
    "SimpleRNN", "GRU", "LSTM", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D",
)  # fmt: skip
refuse(
    "holds small float networks as tables, which are not read yet; use QDense, QEinsumDense or QConv2D, "
    "or QUnaryFunctionLUT for one table",
    "QDenseT", "QEinsumDenseT", "QConvT1D", "QConvT2D", "QMultiHeadAttentionT", "QLinformerAttentionT",
)  # fmt: skip
refuse("has no integer form; use QMultiHeadAttention", "QLinformerAttention", "MultiHeadAttention",
       "Attention", "AdditiveAttention", "GroupQueryAttention")  # fmt: skip
refuse("computes in floating point; use QSoftmax, or take the argmax of its input", "Softmax")
refuse(
    "normalizes by values computed from the input; use QBatchNormalization",
    "LayerNormalization", "GroupNormalization", "UnitNormalization", "RMSNormalization", "Normalization",
)  # fmt: skip
refuse(
    "has no quantized kernel; use QConv2D, with groups for a depthwise one",
    "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D",
    "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose",
)  # fmt: skip
refuse("looks rows up by integers; encode the input before the model", "Embedding", "CategoryEncoding")
