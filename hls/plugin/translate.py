"""An hls4ml ModelGraph as a graph of exact integers: one rule per layer class, in hls4ml's own arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.boundary import FormatEncoder
from fxsim.formats import Format
from fxsim.graph import Graph
from fxsim.integers import Array, IntArray, exact
from fxsim.trace import Builder, Tensor
from fxsim.types import TensorType
from hls.plugin.types import fmt, from_text

Rule = Callable[["Translation", Any, list[Tensor]], "Tensor | list[Tensor]"]

RULES: dict[str, Rule] = {}
"""{hls4ml layer class name: rule(translation, layer, operands) -> result or results}. The class of a layer is
`layer.class_name`; a result has the shape of the layer's output variable and is cast to its type already."""

_STATE = ": it has a state and a loop over time, which one pipeline without state does not have"
REFUSED = {
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU", "Bidirectional", "TimeDistributed"), _STATE),
    **dict.fromkeys(
        ("GarNet", "GarNetStack"), ": its sums run over a number of vertices known at run time only"
    ),
    "SymbolicExpression": ": its functions are those of the vendor's math library",
    "DACombinational": ": it is a program of da4ml; use the strategy distributed_arithmetic on Dense or Conv",
}
"""Why some classes have no rule."""


def rule(*classes: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule of these layer classes. Two rules for one class are a ValueError."""

    def register(function: Rule) -> Rule:
        for name in classes:
            if name in RULES:
                raise ValueError(f"layer class {name} has a rule already, {RULES[name].__name__}")
            RULES[name] = function
        return function

    return register


class Translation:
    """One ModelGraph on its way: the builder of the graph, and `tensors`, {variable name: tensor}."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.builder = Builder(model.config.get_project_name() or "myproject")
        self.tensors: dict[str, Tensor] = {}
        self.io_type: str = model.config.get_config_value("IOType", "io_parallel")

    def format(self, layer: Any, name: str) -> Format:
        """The type `name`_t of a layer (accum, table, ...)."""
        found = layer.get_attr(f"{name}_t")
        if found is None:
            raise self.refuse(layer, f"type {name}_t", "missing", "convert the model again")
        return self._typed(layer, f"{name}_t", found)

    def result(self, layer: Any, output: str | None = None) -> Format:
        """The declared type of a layer's output variable (the first, or the one of this name)."""
        return self._typed(layer, "result_t", layer.get_output_variable(output).type)

    def operand(self, layer: Any, index: int = 0) -> Format:
        """The declared C++ type of a layer's input variable, which may be wider than the tensor's codes."""
        return self._typed(layer, f"input {index}", layer.get_input_variable(layer.inputs[index]).type)

    def shape(self, layer: Any, output: str | None = None) -> tuple[int, ...]:
        """The shape of a layer's output variable, without the batch."""
        return tuple(int(n) for n in layer.get_output_variable(output).shape)

    def weight(self, layer: Any, name: str = "weight") -> tuple[Array, Format]:
        """(raw integers, format) of a layer's weights as the C++ reads them from their text."""
        variable = layer.weights[name]
        return from_text(variable.data, variable.type.precision), self._typed(layer, name, variable.type)

    def constant(self, raw: Any, frac: int) -> Tensor:
        """A constant raw * 2**-frac."""
        return self.builder.apply(ops.Const(IntArray(exact(np.asarray(raw))), frac))

    def refuse(self, layer: Any, what: str, value: object, remedy: str) -> NotImplementedError:
        """The error for a layer that cannot be translated: names it, what is wrong with it, what to do."""
        return NotImplementedError(
            f"layer {layer.name!r} ({layer.class_name}): {what} must not be {value!s}; {remedy}"
        )

    def _typed(self, layer: Any, what: str, precision: Any) -> Format:
        try:
            return fmt(precision)
        except (ValueError, NotImplementedError) as e:
            raise type(e)(f"layer {layer.name!r} ({layer.class_name}): {what}: {e}") from None


def translate(model: Any) -> Graph:
    """The graph whose integers are those of the C simulation of hls4ml's Vitis project.

    Inputs and outputs have the names and shapes of the model's input and output layers; `graph.names` has the
    output of every layer under its variable's name. Raises NotImplementedError for a layer that has no rule,
    naming it; ValueError for a type that hls4ml did not infer.
    """
    import hls.plugin.rules  # noqa: F401  (fills RULES)

    t = Translation(model)
    for layer in model.get_layers():
        if layer.class_name in ("Input", "InputLayer"):
            _input(t, layer)
        else:
            _layer(t, layer)
    outputs = [t.tensors[name] for name in model.outputs]
    return t.builder.finish(outputs, list(model.outputs))


def _input(t: Translation, layer: Any) -> None:
    form = t.result(layer)
    node = t.builder.input(layer.name, TensorType.of(form, t.shape(layer)), FormatEncoder(form))
    t.tensors[layer.outputs[0]] = node


def _layer(t: Translation, layer: Any) -> None:
    apply = RULES.get(layer.class_name)
    if apply is None:
        reason = REFUSED.get(layer.class_name, "")
        raise NotImplementedError(
            f"layer {layer.name!r} of class {layer.class_name} has no rule in the fxsim backend{reason}; "
            f"classes with one are {', '.join(sorted(RULES))}; add one with "
            f"hls.plugin.translate.rule({layer.class_name!r})"
        )
    operands = [t.tensors[name] for name in layer.inputs if name]
    about = {"layer": layer.class_name, "result": str(t.result(layer))}
    with t.builder.block(layer.class_name, layer.name, operands, about) as outputs:
        results: Sequence[Tensor] | Tensor = apply(t, layer, operands)
        results = [results] if isinstance(results, Tensor) else list(results)
        outputs += results
    for name, tensor in zip(layer.outputs, results, strict=True):
        _check(t, layer, name, tensor)
        t.tensors[name] = tensor
        if name not in t.builder.names:
            tensor.named(name)


def _check(t: Translation, layer: Any, name: str, tensor: Tensor) -> None:
    """RuntimeError where a rule breaks its promise: another shape, or codes that the declared type lacks."""
    form, shape = t.result(layer, name), t.shape(layer, name)
    where = f"layer {layer.name!r} ({layer.class_name})"
    if tensor.shape != shape:
        raise RuntimeError(f"{where}: the result must have shape {shape}, not {tensor.shape}")
    low, high = tensor.type.bounds
    shift = form.frac - tensor.frac
    ends = (low << shift, high << shift) if shift >= 0 else (low >> -shift, high >> -shift)
    if prod(shape) and not form.lo <= ends[0] <= ends[1] <= form.hi:
        raise RuntimeError(f"{where}: the result must lie in {form}, not {tensor.type}")
