"""The layers of a Keras configuration and how they call each other, checked, as plain data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fxsim.load.keras.archive import Group

MODELS = ("Functional", "Sequential", "Model")
OPERATIONS = "keras.src.ops"


@dataclass(frozen=True)
class Ref:
    """Tensor `tensor` of the `node`-th call of a layer."""

    layer: str
    node: int
    tensor: int


@dataclass(frozen=True)
class Call:
    """The arguments of one call: values, Refs, and lists of them."""

    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]

    def refs(self) -> Iterator[Ref]:
        """Every tensor of the call, in order."""
        yield from _refs([*self.arguments, *self.keywords.values()])


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: its class, configuration, weights, and calls. `name` is its path in nested models."""

    name: str
    kind: str
    module: str
    config: Mapping[str, Any]
    group: Group
    calls: tuple[Call, ...] = ()
    network: Network | None = None

    def __str__(self) -> str:
        return f"layer {self.name!r} ({self.kind})"

    @property
    def label(self) -> str:
        """The class, with its package where the class is neither of Keras nor of HGQ2."""
        package = self.module.split(".")[0]
        return self.kind if package in ("keras", "hgq") else f"{package}>{self.kind}"

    @property
    def operation(self) -> bool:
        """Is it a function of keras.ops rather than a layer?"""
        return self.module.startswith(OPERATIONS)


@dataclass(frozen=True, eq=False)
class Network:
    """A model: layers by their own name, inputs and outputs in the model's order."""

    name: str
    layers: Mapping[str, Layer]
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]


def network(description: Mapping[str, Any], weights: Group, prefix: str = "") -> Network:
    """The Functional or Sequential model of a configuration; ValueError or NotImplementedError otherwise."""
    kind, config = str(description.get("class_name")), description.get("config")
    if kind not in MODELS or not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise NotImplementedError(
            f"model of class {kind!r} is a subclass of keras.Model, whose computation is Python code that "
            f"the file does not hold; build it as a Functional or Sequential model"
        )
    entries = config["layers"]
    if not all(isinstance(e, dict) and isinstance(e.get("config"), dict) for e in entries):
        raise ValueError("the configuration has a layer without a config; save the model again")
    groups = _groups(entries, weights.child("layers"))
    layers: dict[str, Layer] = {}
    for entry, group in zip(entries, groups, strict=True):
        layer = _layer(entry, group, prefix)
        own = layer.name[len(prefix) :]
        if own in layers:
            raise ValueError(f"two layers have the name {own!r}; name them apart")
        layers[own] = layer
    name = str(config.get("name") or "model")
    if kind == "Sequential":
        return _sequential(name, config, layers, prefix)
    if not layers or "input_layers" not in config or "output_layers" not in config:
        raise ValueError(f"model {name!r} names no inputs or outputs; save it with model.save('model.keras')")
    ends = (tuple(_endpoints(config[k])) for k in ("input_layers", "output_layers"))
    return Network(name, layers, *ends)


def _layer(entry: Mapping[str, Any], group: Group, prefix: str) -> Layer:
    config = entry["config"]
    own = str(entry.get("name") or config.get("name") or entry.get("class_name"))
    kind, module = str(entry.get("class_name")), str(entry.get("module") or "")
    registered = str(entry.get("registered_name") or "")
    package = registered.split(">")[0] if ">" in registered else ""
    if package and package not in ("hgq", "hgq2", "keras"):
        module = module if module.split(".")[0] not in ("keras", "hgq", "") else package
    calls = tuple(_call(c) for c in entry.get("inbound_nodes") or ())
    inner = network(entry, group, f"{prefix}{own}/") if kind in MODELS and "layers" in config else None
    return Layer(prefix + own, kind, module, config, group, calls, inner)


def _groups(entries: list[dict[str, Any]], layers: Group | None) -> list[Group]:
    """Each layer's place among the weights: by the name written there, else by class and number."""
    found = dict(layers.children) if layers else {}
    named = {g.name: g for g in found.values() if g.name}
    counts: dict[str, int] = {}
    out = []
    for entry in entries:
        if str(entry.get("module") or "").startswith(OPERATIONS):
            out.append(Group("", None))
            continue
        key = snake_case(str(entry.get("class_name")))
        count = counts[key] = counts.get(key, -1) + 1
        place = f"{key}_{count}" if count else key
        own = str(entry.get("name") or entry["config"].get("name"))
        group = named.get(own) or found.get(place)
        out.append(group or Group(f"layers/{place}", None))
    return out


def snake_case(name: str) -> str:
    """Keras' file name of a class: QConv2D is q_conv2d."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _sequential(name: str, config: Mapping[str, Any], layers: dict[str, Layer], prefix: str) -> Network:
    chain = list(layers.items())
    if not chain or chain[0][1].kind != "InputLayer":
        shape = config.get("build_input_shape")
        if shape is None:
            raise ValueError(f"model {name!r} was saved before it was built; call it once, then save it")
        label = "input" if "input" not in layers else "input_layer"
        first = Layer(prefix + label, "InputLayer", "keras.layers", {"batch_shape": shape}, Group("", None))
        chain.insert(0, (label, first))
    out = {chain[0][0]: chain[0][1]}
    last = Ref(chain[0][0], 0, 0)
    for own, layer in chain[1:]:
        out[own] = Layer(
            layer.name,
            layer.kind,
            layer.module,
            layer.config,
            layer.group,
            (Call((last,), {}),),
            layer.network,
        )
        last = Ref(own, 0, 0)
    return Network(name, out, (Ref(chain[0][0], 0, 0),), (last,))


def _call(node: Any) -> Call:
    if not isinstance(node, dict) or not isinstance(node.get("args"), (list, tuple)):
        raise ValueError(
            "the configuration has a call that is not of Keras 3; load it in Keras 3 and save it as .keras"
        )
    keywords = node.get("kwargs") or {}
    return Call(tuple(_argument(a) for a in node["args"]), {k: _argument(v) for k, v in keywords.items()})


def _argument(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            try:
                layer, node, tensor = value["config"]["keras_history"]
                return Ref(str(layer), int(node), int(tensor))
            except (KeyError, TypeError, ValueError):
                raise ValueError("the configuration has a tensor without a history; save it again") from None
        return {k: _argument(v) for k, v in value.items()}
    return [_argument(v) for v in value] if isinstance(value, list) else value


def _refs(value: Any) -> Iterator[Ref]:
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, dict):
        yield from _refs(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _refs(v)


def _endpoints(value: Any) -> Iterator[Ref]:
    """Refs of `input_layers` or `output_layers`: one [name, node, tensor], or lists and dicts of them."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        raise ValueError(f"the configuration has an endpoint {value!r}; save the model again")
    if len(value) == 3 and isinstance(value[0], str):
        yield Ref(value[0], int(value[1]), int(value[2]))
        return
    for v in value:
        yield from _endpoints(v)
