"""Handler of QMultiHeadAttention: four projections, two variable products and a softmax, all fixed-point."""

from __future__ import annotations

import math
from typing import Any

from fxsim.load.keras.archive import Group
from fxsim.load.keras.layers.dense import einsum_layer, float32_products, left
from fxsim.load.keras.layers.einsum import Equation, einsum
from fxsim.load.keras.layers.softmax import softmax_layer
from fxsim.load.keras.loader import Arguments, Loader, handles
from fxsim.load.keras.network import Layer
from fxsim.load.keras.quantize import quantized
from fxsim.load.keras.symbols import Activation, Symbol

PROJECTIONS = {
    "query": "bte,ehd->bthd",
    "key": "bse,ehd->bshd",
    "value": "bse,ehd->bshd",
    "output": "bthd,hde->bte",
}
KEYWORDS = ("query", "value", "key", "training", "return_attention_scores", "use_causal_mask")


@handles("QMultiHeadAttention")
def attention(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """softmax(query . key) . value per head, on tensors (sequence, features), attending over the sequence."""
    config = layer.config
    for key in ("use_gate", "sliding_window"):
        if config.get(key):
            raise loader.error(layer, f"has {key} = {config[key]!r}", f"leave {key} off")
    if config.get("attention_axes") not in (None, 1, [1]):
        raise loader.error(
            layer, f"attends along the axes {config['attention_axes']}", "use attention_axes=(1,)"
        )
    for key, value in arguments.keywords.items():
        if value not in (None, False) and key not in KEYWORDS[:3]:
            raise loader.error(layer, f"is called with {key}", "call it without masks and scores")
    query, value, key_input = _inputs(arguments)
    if any(len(s.shape) != 2 for s in (query, value, key_input)):
        raise loader.error(
            layer, f"has inputs of shapes {[s.shape for s in (query, value, key_input)]} beside the batch",
            "use (sequence, features)",
        )  # fmt: skip
    fuse = str(config.get("fuse", "none")).lower()
    parts = {}
    for part, x in (("key", key_input), ("query", query), ("value", value)):
        parts[part] = loader.plain(layer, _projected(loader, layer, part, x, fuse))
    pair = [parts["key"], parts["query"]]
    params = {"float32_exact": float32_products(pair, pair[0].shape[-1])}
    with loader.builder.block("attention", loader.block_name(layer.name), pair, params) as outputs:
        scores = einsum(Equation("shd", "thd", "hts"), parts["key"], parts["query"])
        outputs.append(scores)
    weighted = loader.plain(layer, softmax_layer(loader, _softmax(layer), Activation(scores)))
    pair = [weighted, parts["value"]]
    params = {"float32_exact": float32_products(pair, weighted.shape[-1])}
    with loader.builder.block("attention", loader.block_name(f"{layer.name}_mix"), pair, params) as outputs:
        mixed = einsum(Equation("hts", "shd", "thd"), *pair)
        outputs.append(mixed)
    return left(loader, layer, _projected(loader, layer, "output", Activation(mixed), "none"))


def _inputs(arguments: Arguments) -> tuple[Symbol, Symbol, Symbol]:
    """(query, value, key) as the layer defaults them."""
    given: dict[str, Any] = dict(zip(("query", "value", "key"), arguments.positional, strict=False))
    given |= {k: v for k, v in arguments.keywords.items() if k in KEYWORDS[:3]}
    query: Symbol = given["query"]
    value: Symbol = query if given.get("value") is None else given["value"]
    return query, value, value if given.get("key") is None else given["key"]


def _projected(loader: Loader, layer: Layer, part: str, x: Symbol, fuse: str) -> Symbol:
    """One projection: a QEinsumDense whose input quantizer may be that of the others (fuse)."""
    config = layer.config
    group = layer.group.child(f"{part}_dense") or Group(f"{layer.group.path}/{part}_dense", None)
    shared = {"qkv": ("key", "query", "value"), "kv": ("key", "value")}.get(fuse, ())
    # Keras writes a shared object once, under the first of the names that hold it.
    owner = shared[0] if part in shared else part
    conf = {k: config.get(f"qkvo_{k}_conf") for k in ("iq", "kq", "bq", "oq")}
    bias = bool(config.get("use_bias", True)) and part != "key"
    inner: dict[str, Any] = {f"{k}_conf": v for k, v in conf.items()}
    inner |= {
        "equation": PROJECTIONS[part], "bias_axes": ("e" if part == "output" else "hd") if bias else None,
        "enable_oq": part != "output" or bool(config.get("enable_oq", False)), "activation": "linear",
    }  # fmt: skip
    label = "attention_output" if part == "output" else part
    dense = Layer(f"{layer.name}_{label}", "QEinsumDense", layer.module, inner, group)
    if config.get("enable_iq", True) or part == "output":
        name = dense.name if owner == part else f"{layer.name}_{owner}"
        held = layer.group.child(f"{owner}_dense") or group
        q = loader.quantizer(Layer(name, dense.kind, layer.module, inner, held), "iq", conf["iq"])
        x = quantized(loader, x, q)
    out = einsum_layer(loader, dense, x)
    loader.name(dense.name, out)
    return out


def _softmax(layer: Layer) -> Layer:
    """The QSoftmax inside, with 1 / sqrt(key_dim) as its scale."""
    config = layer.config
    inner: dict[str, Any] = {
        f"{k}_conf": config.get(f"softmax_{k}_conf")
        for k in ("iq", "exp_iq", "exp_oq", "inv_iq", "inv_oq", "oq")
    }
    inner |= {
        "axes": [3], "stable": config.get("stable_softmax", True), "enable_iq": False, "enable_oq": True,
        "input_scaler": 1.0 / math.sqrt(float(config["key_dim"])),
    }  # fmt: skip
    group = layer.group.child("_softmax") or Group(f"{layer.group.path}/_softmax", None)
    return Layer(f"{layer.name}_softmax", "QSoftmax", layer.module, inner, group)
