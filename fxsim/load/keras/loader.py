"""One pass over a Keras model's calls: what each tensor became, and the table {class: handler}."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from fxsim.boundary import FormatEncoder
from fxsim.formats import Format
from fxsim.graph import Graph, Name
from fxsim.load.affine import Activation, rewired
from fxsim.load.keras.archive import Group
from fxsim.load.keras.network import Call, Layer, Network, Ref
from fxsim.load.keras.quantizer import Quantizer, read_quantizer
from fxsim.load.keras.symbols import HostInput, Mapped, Symbol
from fxsim.ops.wiring import Wiring
from fxsim.trace import Builder, Tensor
from fxsim.types import TensorType

MAX_ELEMENTS = 1 << 24

Handler = Callable[["Loader", Layer, "Arguments"], "Symbol | tuple[Symbol, ...]"]


class Loader:
    """The state of one load: the graph under construction, and what each tensor of the file became."""

    def __init__(self, network: Network, name: str, input: Format | None, rescale: str) -> None:
        self.network, self.input, self.rescale = network, input, rescale
        self.builder = Builder(name)
        self.encoded: dict[str, tuple[Any, Tensor]] = {}
        self.quantized: dict[tuple[str, Any], Symbol] = {}
        self._blocks: set[str] = set()
        self.suffix = ""

    def graph(self) -> Graph:
        """Read every call and close the graph at the model's outputs."""
        inputs = [self._input(self.network.layers, ref) for ref in self.network.inputs]
        found = [self._output(s) for s in self.run(self.network, inputs)]
        self._sort_inputs()
        names: list[str] = []
        for ref in self.network.outputs:
            label = ref.layer if not ref.node else f"{ref.layer}_call{ref.node}"
            names.append(label if label not in names else f"{label}_{len(names)}")
        affines = [o.affine() for o in found]
        return self.builder.finish([o.tensor for o in found], names, affines)

    def _input(self, layers: Mapping[str, Layer], ref: Ref) -> Symbol:
        layer = layers.get(ref.layer)
        if layer is None or layer.kind != "InputLayer":
            raise ValueError(f"the model's input {ref.layer!r} is no InputLayer; save the model again")
        shape = layer.config.get("batch_shape") or layer.config.get("batch_input_shape")
        if not isinstance(shape, (list, tuple)) or not shape:
            raise ValueError(f"{layer} has the batch_shape {shape!r}; give it keras.Input(shape=...)")
        if any(not isinstance(n, int) or n < 1 for n in shape[1:]):
            raise ValueError(
                f"{layer} has the dynamic shape {tuple(shape)}; only the batch may be open, give fixed sizes "
                f"to keras.Input"
            )
        check_dtype(layer)
        own = bounded(layer, tuple(shape[1:]))
        if self.input is None:
            reason = "a real-valued input: the host applies the quantizer after it"
            self.builder.names[layer.name] = Name(None, reason=reason)
            return HostInput(layer.name, own, own)
        tensor = self.builder.input(layer.name, TensorType.of(self.input, own), FormatEncoder(self.input))
        return Activation(tensor.named(layer.name))

    def _sort_inputs(self) -> None:
        """The graph's inputs in the model's order, not in their quantizers'; each must be quantized."""
        place = {ref.layer: i for i, ref in enumerate(self.network.inputs)}
        both = zip(self.builder.inputs, self.builder.encoders, strict=True)
        pairs = sorted(both, key=lambda pair: place[pair[0].name])
        missing = [name for name in place if name not in {i.name for i, _ in pairs}]
        if missing:
            raise ValueError(f"input {missing[0]!r} reaches no quantizer; pass input=Format to fxsim.load")
        self.builder.inputs = [i for i, _ in pairs]
        self.builder.encoders = [e for _, e in pairs]

    def _output(self, symbol: Symbol) -> Activation:
        if isinstance(symbol, HostInput):
            raise ValueError(f"an output is the input {symbol.name!r} itself, which no quantizer meets")
        if isinstance(symbol, Mapped):
            raise ValueError(
                f"an output is {symbol.function} of a sum, a real number without a format; leave it to the "
                f"host, or give the layer an output quantizer (enable_oq=True)"
            )
        return symbol

    def run(self, network: Network, inputs: Sequence[Symbol]) -> list[Symbol]:
        """The model's outputs for these inputs; calls are read as soon as their operands are known."""
        if len(inputs) != len(network.inputs):
            raise ValueError(f"model {network.name!r} takes {len(network.inputs)} inputs, not {len(inputs)}")
        known: dict[Ref, Symbol] = dict(zip(network.inputs, inputs, strict=True))
        waiting = [
            (layer, own, n, call)
            for own, layer in network.layers.items()
            for n, call in enumerate(layer.calls)
            if layer.kind != "InputLayer"
        ]
        while waiting:
            left = []
            for layer, own, n, call in waiting:
                if any(ref not in known for ref in call.refs()):
                    left.append((layer, own, n, call))
                    continue
                results = self._call(layer, n, call, known)
                known.update({Ref(own, n, i): s for i, s in enumerate(results)})
            if len(left) == len(waiting):
                layer, _, _, call = left[0]
                ref = next(r for r in call.refs() if r not in known)
                raise ValueError(
                    f"{layer} reads tensor {ref.tensor} of call {ref.node} of {ref.layer!r}, which no layer "
                    f"makes (or only from this one's output); save the model again"
                )
            waiting = left
        missing = [ref for ref in network.outputs if ref not in known]
        if missing:
            raise ValueError(
                f"model {network.name!r} has the output {missing[0].layer!r}, which no layer makes"
            )
        return [known[ref] for ref in network.outputs]

    def _call(self, layer: Layer, n: int, call: Call, known: Mapping[Ref, Symbol]) -> tuple[Symbol, ...]:
        with self._numbered(f"_call{n}" if n else ""):
            arguments = Arguments(layer, _resolved(call.arguments, known), _resolved(call.keywords, known))
            if layer.network is not None:
                return tuple(self.run(layer.network, arguments.tensors()))
            handler = self._handler(layer)
            check_dtype(layer)
            if arguments.keywords.get("training"):
                raise self.error(layer, "is called with training=True", "call it without, for inference")
            try:
                result = handler(self, layer, arguments)
            except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as e:
                if str(e).startswith("layer "):
                    raise
                what = f"its configuration lacks {e}" if isinstance(e, KeyError) else str(e)
                raise ValueError(f"{layer}: {what}") from e
            results = result if isinstance(result, tuple) else (result,)
            for i, s in enumerate(results):
                self.name(layer.name if not i else f"{layer.name}_{i}", s)
            return results

    @contextmanager
    def _numbered(self, suffix: str) -> Iterator[None]:
        """Names made inside get the suffix of a layer's further calls."""
        before, self.suffix = self.suffix, self.suffix + suffix
        try:
            yield
        finally:
            self.suffix = before

    def _handler(self, layer: Layer) -> Handler:
        table = OPERATIONS if layer.operation else HANDLERS
        if layer.label in table:
            return table[layer.label]
        if layer.label in REFUSED:
            raise NotImplementedError(f"{layer} {REFUSED[layer.label]}")
        if layer.label != layer.kind:
            raise NotImplementedError(
                f"{layer} is the custom class {layer.label!r}, whose code the file does not hold and fxsim "
                f"never runs; use layers of Keras or HGQ2"
            )
        near = difflib.get_close_matches(layer.kind, table, n=3, cutoff=0.5)
        hint = f"near to it: {', '.join(near)}" if near else f"supported are {', '.join(sorted(table))}"
        how = f"{layer.kind!r}, operation=True" if layer.operation else repr(layer.kind)
        instead = "Use a layer of keras.layers instead" if layer.operation else "Rewrite the model without it"
        raise NotImplementedError(
            f"{layer} has no handler; {hint}. {instead}, or write one: "
            f"@handles({how}) from fxsim.load.keras.loader"
        )

    def error(self, layer: Layer, what: str, remedy: str) -> ValueError:
        """A ValueError that names the layer and its class, and says what to do."""
        return ValueError(f"{layer} {what}; {remedy}")

    def block_name(self, name: str) -> str:
        """A unique name for a block."""
        label, n = name + self.suffix, 1
        while label in self._blocks:
            n += 1
            label = f"{name}{self.suffix}_{n}"
        self._blocks.add(label)
        return label

    def name(self, name: str, symbol: Symbol) -> None:
        """Record what the tensor of this name became."""
        key = name + self.suffix
        if isinstance(symbol, HostInput):
            entry = Name(None, reason="real-valued: the host applies the quantizer after it")
        elif isinstance(symbol, Mapped):
            entry = Name(None, reason=f"{symbol.function} is folded into the table of the quantizer after it")
        elif symbol.clamped:
            entry = Name(None, reason="the clamp is folded into the quantizer after it")
        else:
            entry = Name(symbol.tensor.node, symbol.affine())
        self.builder.names[key] = entry

    def quantizer(self, layer: Layer, key: str, conf: Any, *path: str) -> Quantizer | None:
        """The quantizer at `path` below the layer's weights; None for a dummy."""
        return read_quantizer(f"{layer.name}_{key}", conf, layer.group.child(*(path or (key,))))

    def wired(self, x: Symbol, op: Wiring) -> Symbol:
        """A wiring op on a tensor; scales follow their axis."""
        if isinstance(x, HostInput):
            return x.wired(op)
        if isinstance(x, Mapped):
            inner = self.wired(x.inner, op)
            assert isinstance(inner, Activation)
            return replace(x, inner=inner)
        tensor = self.builder.apply(op, x.tensor)
        if x.axis is None:
            return Activation(tensor, x.lines)
        lines, axis = rewired(x.lines, x.axis, x.shape, op)
        return Activation(tensor, lines, axis)

    def activation(self, layer: Layer, x: Symbol) -> Activation:
        """The operand as integers; a ValueError says what makes them."""
        if isinstance(x, HostInput):
            raise self.error(
                layer, f"computes with the real input {x.name!r}, which no quantizer met",
                "enable its input quantizer, put a Quantizer layer first, or pass input=Format to fxsim.load",
            )  # fmt: skip
        if isinstance(x, Mapped):
            raise self.error(
                layer, f"computes with {x.function} of a sum, a real number without a format",
                "give the layer before an output quantizer (enable_oq=True), or this one an input quantizer",
            )  # fmt: skip
        return x

    def plain(self, layer: Layer, x: Symbol) -> Tensor:
        """The operand as a tensor whose value is the real one; ValueError off every binary grid."""
        a = self.activation(layer, x).settled()
        if not a.identity:
            raise self.error(
                layer, "computes with numbers off every binary grid (after an average, a BatchNormalization, "
                "a clamp or a scaler)",
                "give it an input quantizer (enable_iq=True), or put a Quantizer layer before it",
            )  # fmt: skip
        return a.tensor


class Arguments:
    """The arguments of one call, tensors resolved."""

    def __init__(self, layer: Layer, positional: Sequence[Any], keywords: Mapping[str, Any]) -> None:
        self.layer, self.positional, self.keywords = layer, tuple(positional), dict(keywords)

    def tensors(self) -> list[Symbol]:
        """All tensors, in order; other positional values must be absent."""
        out: list[Symbol] = []
        _collect([*self.positional, *self.keywords.values()], out)
        return out

    def one(self) -> Symbol:
        """The only tensor of a layer that takes one; masks and other tensors are refused."""
        found = self.tensors()
        if len(found) != 1:
            raise ValueError(f"{self.layer} gets {len(found)} tensors; call it with one and no mask")
        return found[0]


def _collect(value: Any, out: list[Symbol]) -> None:
    if isinstance(value, (Activation, HostInput, Mapped)):
        out.append(value)
    elif isinstance(value, dict):
        _collect(list(value.values()), out)
    elif isinstance(value, (list, tuple)):
        for v in value:
            _collect(v, out)


def _resolved(value: Any, known: Mapping[Ref, Symbol]) -> Any:
    if isinstance(value, Ref):
        return known[value]
    if isinstance(value, (list, tuple)):
        return [_resolved(v, known) for v in value]
    return {k: _resolved(v, known) for k, v in value.items()} if isinstance(value, Mapping) else value


def bounded(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape; ValueError where it has more elements than a graph can list."""
    elements = math.prod(shape)
    if elements > MAX_ELEMENTS:
        raise ValueError(f"{layer} has {elements} elements, more than {MAX_ELEMENTS}; use a smaller shape")
    return shape


def check_dtype(layer: Layer) -> None:
    """ValueError unless the layer computes in float32."""
    dtype = layer.config.get("dtype", "float32")
    if isinstance(dtype, dict):
        dtype = (dtype.get("config") or {}).get("name", dtype.get("class_name"))
    if dtype not in ("float32", None):
        raise ValueError(f"{layer} has the dtype {dtype!r}; save the model with the dtype policy 'float32'")


def variables(layer: Layer, *shapes: tuple[int, ...] | None, group: Group | None = None) -> list[Any]:
    """The layer's first variables, one per shape (None is any); ValueError for NaN or another shape."""
    held = (group or layer.group).variables
    out = []
    for i, shape in enumerate(shapes):
        found = held[i].shape if i < len(held) else None
        if found is None or (shape is not None and found != shape):
            raise ValueError(
                f"{layer} has variable {i} of shape {found} in the weights file, not {shape}; "
                f"save the model again"
            )
        bad = np.argwhere(~np.isfinite(np.asarray(held[i], np.float64)))
        if len(bad):
            at = tuple(int(v) for v in bad[0])
            raise ValueError(f"{layer} has a weight that is {held[i][at]} at {at}; train the model again")
        out.append(held[i])
    return out


HANDLERS: dict[str, Handler] = {}
OPERATIONS: dict[str, Handler] = {}
REFUSED: dict[str, str] = {}
"""Why classes have no integer form, and what to use instead."""


def handles(*names: str, operation: bool = False) -> Callable[[Handler], Handler]:
    """Decorator: the handler of these classes, handler(loader, layer, arguments) -> Symbol; none is replaced.

    `operation` is for functions of keras.ops, which the configuration lists beside the layers.
    """

    def add(fn: Handler) -> Handler:
        table = OPERATIONS if operation else HANDLERS
        for name in names:
            if name in table:
                raise ValueError(f"class {name!r} already has a handler")
            table[name] = fn
        return fn

    return add


def refuse(reason: str, *names: str) -> None:
    """These classes are refused with this reason."""
    REFUSED.update(dict.fromkeys(names, reason))
