"""Seeded HGQ2 models: every family of layers, random weights, formats drawn for each element."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from hgq.config import QuantizerConfig, QuantizerConfigScope
from hgq.layers import (
    QAdd,
    QAffinedUnaryFunctionLUT,
    QAveragePooling2D,
    QAveragePow2,
    QBatchNormalization,
    QBatchNormDense,
    QConv1D,
    QConv2D,
    QConv3D,
    QDense,
    QDot,
    QEinsum,
    QEinsumDense,
    QEinsumDenseBatchnorm,
    QGlobalAveragePooling1D,
    QGlobalAveragePooling2D,
    QMaximum,
    QMaxPooling2D,
    QMaxPooling3D,
    QMeanPow2,
    QMinimum,
    QMultiHeadAttention,
    QMultiply,
    QSoftmax,
    QSubtract,
    QSum,
    QUnaryFunctionLUT,
)
from hgq.quantizer import Quantizer
from hgq.quantizer.internal import FixedPointQuantizerBase

Rng = np.random.Generator
L = keras.layers


def quantizers(layer: Any) -> Iterator[Any]:
    """Every fixed-point quantizer of a model, in a fixed order."""
    for inner in layer._flatten_layers():
        if isinstance(inner, FixedPointQuantizerBase):
            yield inner


def randomized(model: Any, rng: Rng, low: int = 0, bits: int = 7) -> Any:
    """The model with drawn weights and, for every element, drawn k, i and f (zero widths among them)."""
    for v in model.weights:
        if v.dtype == "float32" and v.name in ("kernel", "bias", "bn_gamma", "bn_beta", "gamma", "beta"):
            v.assign(rng.normal(0, 0.8, v.shape).astype(np.float32))
        elif v.name == "moving_variance":
            v.assign(rng.uniform(0.3, 2, v.shape).astype(np.float32))
        elif v.name == "moving_mean":
            v.assign(rng.normal(0, 0.3, v.shape).astype(np.float32))
    for q in quantizers(model):
        i = rng.integers(low, 3, q._i.shape)
        width = rng.integers(2, bits + 1, q._i.shape) * (rng.random(q._i.shape) < 0.9)
        if width.size == 1:  # one format for a whole tensor, which should not be of no bits
            width = width * 0 + rng.integers(4, bits + 1)
        q._i.assign(i.astype(np.float32))
        q._k.assign((rng.random(q._k.shape) < 0.8).astype(np.uint8))
        if hasattr(q, "_f"):
            q._f.assign((width - i).astype(np.float32))
        else:
            q._b.assign(width.astype(np.float32))
    return model


def scope(round_mode: str = "RND", overflow_mode: str = "WRAP", q_type: str = "kif") -> QuantizerConfigScope:
    """Every data quantizer of one kind."""
    return QuantizerConfigScope(
        place="datalane", default_q_type=q_type, round_mode=round_mode, overflow_mode=overflow_mode
    )


def mlp(rng: Rng, round_mode: str = "RND", overflow_mode: str = "WRAP", q_type: str = "kif") -> Any:
    """Three dense layers, an output quantizer in the middle."""
    with scope(round_mode, overflow_mode, q_type):
        layers = [keras.Input((6,)), QDense(7, activation="relu"), QDense(5, enable_oq=True), QDense(3)]
        return randomized(keras.Sequential(layers), rng)


def residual_cnn(rng: Rng) -> Any:
    """Padded, strided, grouped convolutions, a residual sum, pools, a keras.ops sum, two outputs."""
    with scope(overflow_mode="SAT"):
        x = keras.Input((6, 6, 2), name="image")
        a = QConv2D(4, 3, padding="same", activation="relu", name="a")(x)
        b = QConv2D(4, 3, padding="same", groups=2, name="b")(a)
        s = QAdd(name="sum")([a, b])
        p = QMaxPooling2D(2, name="pool")(s)
        c = QConv2D(3, 2, strides=2, padding="same", dilation_rate=1, use_bias=False, name="c")(p)
        m = QAveragePooling2D((1, 2), name="mean")(c)
        f = L.Flatten(name="flat")(m)
        d = QDense(4, name="d")(f)
        e = QDense(4, name="e")(f)
        return randomized(keras.Model(x, [d + e, L.ReLU(name="positive")(s)], name="residual"), rng)


def averages(rng: Rng) -> Any:
    """Averages over counts that are no power of two, real scales behind them, and a plain batch norm."""
    with scope(round_mode="RND_CONV", overflow_mode="SAT_SYM"):
        x = Quantizer(QuantizerConfig(place="datalane"), name="first")(keras.Input((6, 6, 2), name="image"))
        a = L.AveragePooling2D(3, name="ap")(x)
        b = QDense(3, name="b")(a)
        c = L.BatchNormalization(name="bn")(b)
        d = QConv2D(2, 2, name="c")(L.ReLU(name="r")(c))
        g = L.GlobalAveragePooling2D(name="gap")(b)
        h = QDense(2, name="h")(g)
        same = L.AveragePooling2D(3, strides=1, padding="same", name="same")(x)
        z = QDense(2, name="z")(same)
        return randomized(keras.Model(x._keras_history.operation.input, [d, h, z], name="averages"), rng)


def sequence(rng: Rng) -> Any:
    """One-dimensional layers: causal, strided, channels of pools, einsum, sums and means, dot products."""
    with scope(overflow_mode="WRAP", round_mode="TRN"):
        x = keras.Input((8, 3), name="wave")
        first = QuantizerConfig(place="datalane", homogeneous_axis=(0, 1))
        a = QConv1D(4, 3, padding="causal", iq_conf=first, name="causal")(x)
        b = QConv1D(4, 2, strides=2, activation="relu", name="half")(a)
        c = QEinsumDense("abc,cd->abd", (4, 5), bias_axes="d", name="mix")(b)
        t = QEinsumDense("abc,bde->acde", (5, 2, 3), bias_axes="e", activation="relu", name="turn")(c)
        s = QSum(axes=(1, 2), scale=0.5, name="total")(t)
        m = QMeanPow2(axes=1, keepdims=True, name="mean")(c)
        g = QGlobalAveragePooling1D(name="gap")(c)
        q = QEinsum("abc,adc->abd", name="products")([b, a])
        d = QDot(axes=(2, 2), name="dot")([b, b])
        return randomized(keras.Model(x, [s, m, g, q, d], name="sequence"), rng)


def merges(rng: Rng) -> Any:
    """Every merge of two branches with formats of their own, a shared layer, shapes and borders."""
    with scope(overflow_mode="SAT"):
        one, two = keras.Input((4, 3), name="one"), keras.Input((4, 3), name="two")
        config = QuantizerConfig(place="datalane")
        a, b = Quantizer(config, name="qa")(one), Quantizer(config, name="qb")(two)
        shared = QDense(3, activation="relu", name="shared")
        p, q = shared(a), shared(b)
        joined = [
            QAdd(name="add2")([p, q]), QSubtract(name="sub2")([p, q]), QMultiply(name="mul2")([p, q]),
            QMaximum(name="max2")([p, q]), QMinimum(name="min2")([p, q]),
            L.Add(name="plain_add")([a, b, p]), L.Multiply(name="plain_mul")([a, b]),
            L.Maximum(name="plain_max")([a, b]), L.Minimum(name="plain_min")([p, a]),
            L.Subtract(name="plain_sub")([a, q]), 0.5 * a + 0.25,
        ]  # fmt: skip
        c = L.Concatenate(name="joined")(joined)
        d = QDense(2, name="d")(L.Dropout(0.5, name="drop")(c))
        r = L.Permute((2, 1), name="turned")(L.Reshape((2, 4), name="shaped")(L.Flatten(name="flat")(d)))
        u = L.UpSampling1D(2, name="up")(
            L.Cropping1D((1, 0), name="cut")(L.ZeroPadding1D((1, 2), name="pad")(r))
        )
        return randomized(keras.Model([one, two], [u, c], name="merges"), rng)


def functions(rng: Rng) -> Any:
    """Tables: activations as layers and inside layers, softmax of both kinds, attention."""
    with scope(overflow_mode="SAT"):
        x = keras.Input((5, 4), name="tokens")
        a = QDense(4, activation="tanh", name="a")(x)
        b = QUnaryFunctionLUT("sigmoid", name="lut")(a)
        c = QUnaryFunctionLUT("silu", allow_heterogeneous_table=False, name="lut2")(a)
        s = QSoftmax(axis=-1, enable_iq=True, name="soft")(b)
        u = QSoftmax(axis=-1, enable_iq=True, stable=False, name="soft2")(c)
        m = QMultiHeadAttention(2, 3, fuse="qkv", name="attend")(s)
        n = QMultiHeadAttention(2, 2, value_dim=3, output_shape=5, use_bias=False, name="attend2")(m, u)
        model = keras.Model(x, [s, u, m, n], name="functions")
        return randomized(model, rng)


def norms(rng: Rng) -> Any:
    """HGQ2's batch norms, alone and fused."""
    with scope(overflow_mode="WRAP", q_type="kbi"):
        x = keras.Input((4, 4), name="x")
        a = QBatchNormalization(name="bn")(x)
        b = QBatchNormDense(4, activation="relu", name="dense")(a)
        c = QEinsumDenseBatchnorm("abc,cd->abd", (4, 3), bias_axes="d", name="einsum")(b)
        d = QBatchNormalization(axis=1, scale=False, name="bn2")(c)
        return randomized(keras.Model(x, QDense(2, name="out")(d), name="norms"), rng)


def nested(rng: Rng) -> Any:
    """A model inside a model, called twice, behind a rescaling on the host."""
    with scope(overflow_mode="SAT"):
        inner = keras.Sequential(
            [keras.Input((4,)), QDense(4, activation="relu", name="in1"), QDense(4, name="in2")]
        )
        inner.name = "inner"
        x = keras.Input((2, 2), name="pixels")
        y = L.Flatten(name="flat")(L.Rescaling(1 / 255, offset=-0.5, name="scale")(x))
        once = inner(Quantizer(QuantizerConfig(place="datalane"), name="first")(y))
        return randomized(keras.Model(x, QDense(2, name="last")(inner(once)), name="nested"), rng)


def others(rng: Rng) -> Any:
    """Layers of three dimensions, channels first, and the rarer activations and merges."""
    with scope(round_mode="RND_CONV", overflow_mode="SAT"):
        x = keras.Input((2, 6, 4), name="first")
        q = Quantizer(QuantizerConfig(place="datalane"), name="q")(x)
        c = QConv2D(3, (2, 3), dilation_rate=(2, 1), data_format="channels_first", name="conv")(q)
        m = L.MaxPooling2D(2, data_format="channels_first", name="pool")(c)
        f = L.Flatten(data_format="channels_first", name="flat")(m)
        g = QGlobalAveragePooling2D(data_format="channels_first", name="gap")(c)
        v = L.Reshape((2, 3, 4, 2), name="volume")(q)
        d = QConv3D(2, 2, padding="same", name="conv3")(v)
        e = L.GlobalMaxPooling3D(keepdims=True, name="gmp")(QMaxPooling3D((1, 3, 2), name="pool3")(d))
        a = QAveragePow2(name="mean3")([g, g, g])
        h = QDense(3, name="h")(L.Average(name="mean")([g, a]))
        few = Quantizer(QuantizerConfig(place="datalane"), name="few")(h)
        k = L.Dot(axes=1, name="dot")([few, few])
        r = L.RepeatVector(2, name="repeat")(h)
        t = [
            QDense(2, name="t0")(L.LeakyReLU(negative_slope=0.25, name="leaky")(h)),
            QDense(2, name="t1")(L.LeakyReLU(negative_slope=0.3, name="leaky3")(h)),
            QDense(2, name="t2")(L.ELU(alpha=0.5, name="elu")(h)),
            QDense(2, name="t3")(L.ReLU(max_value=1.5, name="relu1")(h)),
            QDense(2, name="t4")(L.Activation("hard_sigmoid", name="hs")(h)),
            QAffinedUnaryFunctionLUT("softplus", name="t5")(h),
            QUnaryFunctionLUT("gelu", name="t6")(h),
            QUnaryFunctionLUT("selu", name="t7")(h),
            L.Activation("hard_tanh", name="ht")(h),
            2.0 - h, (h - 0.5) / 4.0, keras.ops.maximum(h, 0.25), keras.ops.relu(-1.0 * h),
        ]  # fmt: skip
        return randomized(keras.Model(x, [f, e, k, r, *t], name="others"), rng)


FAMILIES: dict[str, Callable[[Rng], Any]] = {
    f.__name__: f for f in (mlp, residual_cnn, averages, sequence, merges, functions, norms, nested, others)
}


def samples(model: Any, rng: Rng, n: int) -> list[np.ndarray[Any, Any]]:
    """Inputs on the quantizers' ties as often as off them, some beyond every range."""
    out = []
    for tensor in model.inputs:
        shape = (n, *tensor.shape[1:])
        grid = rng.integers(-64, 64, shape) / 2.0 ** rng.integers(1, 7, shape)
        x = np.where(rng.random(shape) < 0.5, grid, rng.normal(0, 1.5, shape))
        out.append((x * (100 if tensor.name == "pixels" else 1)).astype(np.float32))
    return out
