"""Handler of QSoftmax: two tables and a product, all fixed-point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fxsim.load.keras.layers.dense import entered, left
from fxsim.load.keras.loader import Arguments, Loader, handles
from fxsim.load.keras.network import Layer
from fxsim.load.keras.quantize import quantized
from fxsim.load.keras.symbols import Activation, Mapped, Symbol
from fxsim.trace import Tensor

EPSILON = 1e-7  # Keras' own, added before the reciprocal
# QSoftmax sets these of its tables, whatever their configuration says.
TABLE = {"k0": 0, "overflow_mode": "SAT", "round_mode": "RND_CONV"}


@handles("QSoftmax")
def softmax(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """exp_table(max(x) - x) * inv_table(sum of those), then oq; without `stable` exp_table(x)."""
    return softmax_layer(loader, layer, arguments.one())


def softmax_layer(loader: Loader, layer: Layer, x: Symbol) -> Symbol:
    """A QSoftmax on one tensor: its tables take every code of their operands' formats."""
    config = layer.config
    t = loader.plain(layer, entered(loader, layer, x))
    axes = config.get("axes") or config.get("axis") or [-1]
    axes = [axes] if isinstance(axes, int) else list(axes)
    places = sorted({a % (t.ndim + 1) - 1 for a in axes})
    if places[0] < 0:
        raise loader.error(
            layer, f"normalizes over the axes {axes}, the batch among them", "use axes from 1 on"
        )
    stable, scale = bool(config.get("stable", True)), float(config.get("input_scaler", 1.0))
    with loader.builder.block("softmax", loader.block_name(layer.name), [t]) as outputs:
        if stable:
            most = t
            for p in places:
                most = most.max(axis=p).reshape(*most.shape[:p], 1, *most.shape[p + 1 :])
            t = most - t
        function = "exp of minus" if stable else "exp"
        exps = _table(loader, layer, "exp", t, function, (scale,), stable)
        kept = tuple(1 if i in places else n for i, n in enumerate(exps.shape))
        sums = exps.sum(axis=tuple(places)).reshape(kept)
        out = exps * _table(loader, layer, "inv", sums, "reciprocal", (EPSILON,), True)
        outputs.append(out)
    return left(loader, layer, Activation(out))


def _table(
    loader: Loader,
    layer: Layer,
    key: str,
    t: Tensor,
    function: str,
    parameters: tuple[float, ...],
    enters: bool,
) -> Tensor:
    """One table behind its input quantizer."""
    config: Mapping[str, Any] = layer.config
    x: Symbol = Activation(t)
    label = f"{key}_table"
    if enters:
        iq = loader.quantizer(layer, f"{label}_iq", config.get(f"{key}_iq_conf"), label, "iq")
        x = quantized(loader, x, iq)
    conf = dict(config.get(f"{key}_oq_conf") or {})
    conf["config"] = dict(conf.get("config") or {}) | TABLE
    oq = loader.quantizer(layer, f"{label}_oq", conf, label, "oq")
    if oq is None:
        raise loader.error(layer, f"has no quantizer behind its {key} table", f"give it an {key}_oq_conf")
    x = quantized(loader, Mapped(loader.activation(layer, x), function, parameters), oq)
    return loader.plain(layer, x)
