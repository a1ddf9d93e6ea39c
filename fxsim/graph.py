"""The graph: typed tensor values in dataflow order, nested blocks over them, and one fold for every
reading."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

from fxsim.boundary import Affine, Encoder
from fxsim.integers import IntArray
from fxsim.types import TensorType

R = TypeVar("R")


@dataclass(frozen=True)
class Op:
    """An operation: its parameters and its typing rule, nothing else. Meaning lives in the interpreters'
    tables."""

    registry: ClassVar[dict[str, type[Op]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if Op.registry.setdefault(cls.__name__, cls).__module__ != cls.__module__:
            raise TypeError(
                f"an op named {cls.__name__} exists already in {Op.registry[cls.__name__].__module__}"
            )
        Op.registry[cls.__name__] = cls

    def infer(self, *args: TensorType) -> TensorType:
        """The result's type: tight for independent operands that fill their sets. TypeError for other
        operands."""
        raise NotImplementedError(f"{type(self).__name__} has no typing rule")


@dataclass(frozen=True, eq=False)
class Node:
    """A typed tensor of the graph; identity is the object, so that equal expressions stay distinct values."""

    type: TensorType


@dataclass(frozen=True, eq=False, repr=False)
class Input(Node):
    """A tensor that enters the graph."""

    name: str

    def __repr__(self) -> str:
        return f"<Input {self.name}: {self.type}>"


@dataclass(frozen=True, eq=False, repr=False)
class Value(Node):
    """`op` applied to `args`."""

    op: Op
    args: tuple[Node, ...]

    def __repr__(self) -> str:
        # Without the operands: their text would grow exponentially with depth.
        return f"<{_op_short(self.op)}: {self.type}>"


@dataclass(frozen=True, eq=False)
class Block:
    """A named scope: values[start:stop] of the flat list, made by one function that builds graph.

    `inputs` are computed before `start`; `outputs` are the members that others read. `params` is what a
    reading that knows the `kind` needs (JSON-like data, IntArrays, Formats, ops). `parent` is the index of
    the enclosing block.
    """

    kind: str
    name: str
    params: Mapping[str, Any]
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    start: int
    stop: int
    parent: int | None = None

    def __str__(self) -> str:
        ins = ", ".join(str(n.type) for n in self.inputs)
        return f"{self.kind} {self.name}: {ins} -> {', '.join(str(n.type) for n in self.outputs)}"


@dataclass(frozen=True)
class Name:
    """What a tensor of the file became: a value (raw = the file's integer code), or nothing, with the reason.

    `affine` maps value to real; `axes` is the permutation that brings the value's axes into the file's order.
    """

    value: Node | None
    affine: Affine = field(default_factory=Affine)
    axes: tuple[int, ...] | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Graph:
    """`inputs` -> `outputs` through `values` (inputs first, every value after its operands, all of them
    live).

    `encoders` and `output_affines` are the host's side of the boundary: real values to raw codes and back.
    `run` applies them, `run_raw` never does, hardware never sees them. `names` maps tensor names to values.
    """

    inputs: tuple[Input, ...]
    outputs: tuple[Node, ...]
    values: tuple[Node, ...]
    output_names: tuple[str, ...]
    encoders: tuple[Encoder, ...]
    output_affines: tuple[Affine, ...]
    blocks: tuple[Block, ...] = ()
    names: Mapping[str, Name] = field(default_factory=lambda: MappingProxyType({}))
    name: str = "graph"

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))
        if len(self.encoders) != len(self.inputs):
            raise ValueError(
                f"encoders must be one per input, not {len(self.encoders)} for {len(self.inputs)} inputs"
            )
        if not len(self.outputs) == len(self.output_names) == len(self.output_affines):
            raise ValueError("outputs, output_names and output_affines must have one length")
        if self.values[: len(self.inputs)] != self.inputs:
            raise ValueError("values must begin with the inputs")
        seen: set[Node] = set(self.inputs)
        for v in self.values[len(self.inputs) :]:
            if not isinstance(v, Value):
                raise ValueError(f"input {getattr(v, 'name', v)!r} is not among the graph's inputs")
            if not seen.issuperset(v.args):
                raise ValueError(f"an operand of {type(v.op).__name__} comes after it")
            seen.add(v)
        if not seen.issuperset(self.outputs):
            raise ValueError("an output is not a value of the graph")

    @property
    def index(self) -> dict[Node, int]:
        """Position of each value in `values`."""
        return {v: i for i, v in enumerate(self.values)}

    def digest(self) -> str:
        """Hex digest of all that decides results: ops, types, inputs, outputs, encoders, affines."""
        index = self.index
        h = hashlib.sha256()
        for v in self.values:
            if isinstance(v, Value):
                text = f"{op_text(v.op)}|{[index[a] for a in v.args]}|{v.type.digest.hex()}\n"
            else:
                text = f"input {v.name}|{v.type.digest.hex()}\n"  # type: ignore[attr-defined]
            h.update(text.encode())
        h.update(repr([index[o] for o in self.outputs]).encode() + repr(self.output_names).encode())
        h.update(repr(self.encoders).encode() + repr(self.output_affines).encode())
        return h.hexdigest()[:32]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self.digest() == other.digest()

    def __hash__(self) -> int:
        return hash(self.digest())

    def __repr__(self) -> str:
        return (
            f"<Graph {self.name}: {len(self.values)} values, {len(self.inputs)} in, {len(self.outputs)} out>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # By position: nodes that hold their operands would be followed as deep as the graph is long.
        at = self.index
        values = [(v.op, [at[a] for a in v.args], v.type) if isinstance(v, Value) else v for v in self.values]
        blocks = [
            (b.kind, b.name, dict(b.params), [at[n] for n in b.inputs], [at[n] for n in b.outputs],
             b.start, b.stop, b.parent)
            for b in self.blocks
        ]  # fmt: skip
        names = {
            k: (None if n.value is None else at[n.value], n.affine, n.axes, n.reason)
            for k, n in self.names.items()
        }
        rest = self.output_names, self.encoders, self.output_affines
        return _from_positions, (
            values,
            len(self.inputs),
            [at[o] for o in self.outputs],
            *rest,
            blocks,
            names,
            self.name,
        )

    def __str__(self) -> str:
        index = self.index
        starts: dict[int, list[Block]] = {}
        for b in self.blocks:
            starts.setdefault(b.start, []).append(b)
        lines = [f"graph {self.name}"]
        for i, v in enumerate(self.values):
            depth = sum(b.start <= i < b.stop for b in self.blocks)
            for k, b in enumerate(bs := starts.get(i, [])):
                lines.append("  " * (1 + depth - len(bs) + k) + f"[{b.kind} {b.name}]")
            text = v.name if isinstance(v, Input) else _short(v, index)
            lines.append("  " * (1 + depth) + f"%{i} = {text} : {v.type}")
        outs = [f"{n}=%{index[o]}" for n, o in zip(self.output_names, self.outputs, strict=True)]
        return "\n".join([*lines, "  return " + ", ".join(outs)])

    def run(self, /, *x: Any, **named: Any) -> Any:
        """Real values in, real values out (float64): `encoders`, the emulator, `output_affines`.

        Each x has shape (batch, *input shape) or the input's own shape (a batch of one, whose axis is dropped
        again). ValueError or TypeError names the input and the first bad index (NaN, out of range, wrong
        shape or dtype).
        """
        from fxsim.emulate import run

        return run(self, *x, **named)

    def run_raw(self, /, *raw: Any, **named: Any) -> Any:
        """Raw integers in, raw integers out (int64, or object arrays beyond 63 bits)."""
        from fxsim.emulate import run_raw

        return run_raw(self, *raw, **named)

    def codes(self, /, *x: Any, **named: Any) -> dict[str, Any]:
        """{tensor name: integer codes, batch first, in the file's axis order} for every named tensor."""
        from fxsim.emulate import codes

        return codes(self, *x, **named)

    def save(self, path: Any) -> None:
        """Write the graph to one file (JSON + npz, versioned; no code is executed on load)."""
        from fxsim.serialize import save

        save(self, path)

    def exposing(self, *names: str) -> Graph:
        """The same graph with these named tensors as further outputs (their codes, under their own names).

        What a bench or a C simulation needs to compare inner tensors. KeyError for a name that has no value,
        ValueError for one that is an output already.
        """
        for name in names:
            if name not in self.names or self.names[name].value is None:
                known = sorted(k for k, n in self.names.items() if n.value is not None)
                raise KeyError(f"no value is named {name!r}; the named values are {known}")
            if name in self.output_names:
                raise ValueError(f"{name!r} is an output already")
        kw = {f.name: getattr(self, f.name) for f in fields(self)}
        found = [self.names[n] for n in names]
        kw["outputs"] += tuple(n.value for n in found)
        kw["output_names"] += names
        kw["output_affines"] += tuple(n.affine for n in found)
        return Graph(**kw)

    def with_name(self, name: str) -> Graph:
        """The same graph under another name (a Verilog module or project is named after it)."""
        kw = {f.name: getattr(self, f.name) for f in fields(self)}
        return Graph(**(kw | {"name": name}))


def _from_positions(
    values: list[Any], inputs: int, outputs: list[int], output_names: tuple[str, ...],
    encoders: tuple[Encoder, ...], affines: tuple[Affine, ...], blocks: list[Any],
    names: dict[str, Any], name: str,
) -> Graph:  # fmt: skip
    """The graph that `Graph.__reduce__` took apart."""
    nodes: list[Any] = []
    for v in values:
        nodes.append(v if isinstance(v, Input) else Value(v[2], v[0], tuple(nodes[i] for i in v[1])))

    def pick(places: list[int]) -> tuple[Any, ...]:
        return tuple(nodes[i] for i in places)

    return Graph(
        pick(list(range(inputs))), pick(outputs), tuple(nodes), output_names, encoders, affines,
        tuple(Block(k, n, p, pick(i), pick(o), *span) for k, n, p, i, o, *span in blocks),
        {k: Name(None if i is None else nodes[i], *rest) for k, (i, *rest) in names.items()}, name,
    )  # fmt: skip


def op_text(op: Op) -> str:
    """A deterministic text of an op and all its parameters (arrays by digest)."""
    parts = []
    for f in fields(op):
        v = getattr(op, f.name)
        parts.append(f"{f.name}={v.digest.hex() if hasattr(v, 'digest') else v!r}")
    return f"{type(op).__name__}({', '.join(parts)})"


def _short(v: Node, index: dict[Node, int]) -> str:
    assert isinstance(v, Value)
    return _op_short(v.op) + "".join(f" %{index[a]}" for a in v.args)


def _op_short(op: Op) -> str:
    params = ", ".join(f"{f.name}={_parameter(getattr(op, f.name))}" for f in fields(op))
    if len(params) > 100:
        params = params[:97] + "..."
    return f"{type(op).__name__}({params})"


def _parameter(value: Any) -> str:
    """Modes by name, arrays of one number by the number."""
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, IntArray) and value.array.ndim == 0:
        return str(value.array[()])
    return repr(value)


class Interpreter(Generic[R]):
    """One reading of the graph: a table {op class or block kind: rule} and a fold over the values in order.

    rule(context, node, *operand results) -> result for an op; rule(context, block, *input results) -> one
    result per block output for a block kind. Walking inside a block is the default; a rule for its kind
    replaces the inside.
    """

    def __init__(self, name: str, rules: Mapping[type[Op] | str, Callable[..., Any]] | None = None) -> None:
        self.name = name
        self.rules: dict[type[Op] | str, Callable[..., Any]] = dict(rules or {})

    def rule(self, *keys: type[Op] | str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorator: the rule of these ops or block kinds. Replacing a rule is an error, so tables cannot
        drift."""

        def add(fn: Callable[..., Any]) -> Callable[..., Any]:
            for key in keys:
                if key in self.rules:
                    raise ValueError(f"{self.name} already has a rule for {_key_name(key)}")
                self.rules[key] = fn
            return fn

        return add

    def lookup(self, op: type[Op]) -> Callable[..., Any]:
        """The rule of an op class; NotImplementedError names the rule to write."""
        fn = self.rules.get(op)
        if fn is None:
            raise NotImplementedError(
                f"the {self.name} reading has no rule for {op.__name__}; "
                f"write one with @{self.name}.rule({op.__name__}): rule(context, node, *operands)"
            )
        return fn

    def fold(
        self,
        graph: Graph,
        inputs: Sequence[R],
        context: Any = None,
        bind: Callable[[Node, R], R] | None = None,
    ) -> dict[Node, R]:
        """Results of all values reached (values inside a block that has a rule are not). bind may name a
        result."""
        if len(inputs) != len(graph.inputs):
            raise ValueError(f"inputs must be {len(graph.inputs)}, not {len(inputs)}")
        bind = bind or (lambda node, result: result)
        env: dict[Node, R] = {v: bind(v, r) for v, r in zip(graph.inputs, inputs, strict=True)}
        known: dict[int, list[Block]] = {}
        for b in graph.blocks:  # outermost first: parents precede their children
            if b.kind in self.rules and b.stop > b.start:
                known.setdefault(b.start, []).append(b)
        i = len(graph.inputs)
        while i < len(graph.values):
            stop = next((b.stop for b in known.get(i, ()) if self._replaces(context, b, env, bind)), None)
            if stop is not None:
                i = stop
                continue
            v = graph.values[i]
            assert isinstance(v, Value)
            env[v] = bind(v, self.lookup(type(v.op))(context, v, *(env[a] for a in v.args)))
            i += 1
        return env

    def _replaces(self, context: Any, block: Block, env: dict[Node, R], bind: Callable[[Node, R], R]) -> bool:
        """Does the rule of the block's kind take it? If so, its outputs enter env."""
        results = self.rules[block.kind](context, block, *(env[a] for a in block.inputs))
        if results is NotImplemented:
            return False
        env.update((o, bind(o, r)) for o, r in zip(block.outputs, results, strict=True))
        return True

    def __call__(self, graph: Graph, inputs: Sequence[R], context: Any = None, **kw: Any) -> list[R]:
        """The outputs of `fold`."""
        env = self.fold(graph, inputs, context, **kw)
        return [env[o] for o in graph.outputs]

    def missing(self, ops: Iterable[type[Op]] | None = None) -> list[str]:
        """Names of the registered ops without a rule here."""
        meant = ops or (op for op in Op.registry.values() if "__dataclass_params__" in vars(op))
        return sorted(op.__name__ for op in meant if op not in self.rules)


def _key_name(key: type[Op] | str) -> str:
    return key if isinstance(key, str) else key.__name__
