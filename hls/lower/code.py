"""C++ text of one function; a tensor is an array and an index map into it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from fxsim.graph import Block, Graph, Input, Node
from fxsim.integers import Array, array_digest
from fxsim.types import TensorType

RESERVED = frozenset(
    """
    alignas alignof and asm auto bitand bitor bool break case catch char class compl const constexpr
    continue decltype default delete do double else enum explicit export extern false float for friend
    goto if inline int long main mutable namespace new noexcept not nullptr operator or private
    protected public register return short signed sizeof static struct switch template this throw true
    try typedef typename union unsigned using virtual void volatile while xor std fx nnet i j k n o
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Code:
    """The C++ type of a code: ap_int<width> or ap_uint<width>."""

    width: int
    signed: bool

    def __str__(self) -> str:
        return f"ap_{'' if self.signed else 'u'}int<{self.width}>"

    @classmethod
    def of(cls, t: TensorType) -> Code:
        """The narrowest type that holds every element of `t`."""
        return cls(t.max_width, t.bounds[0] < 0)

    @classmethod
    def holding(cls, lo: int, hi: int) -> Code:
        """The narrowest type that holds lo..hi."""
        signed = lo < 0
        return cls(
            max(hi.bit_length() if hi > 0 else 0, (~lo).bit_length() if signed else 0, 1 - signed) + signed,
            signed,
        )

    def literal(self, value: int) -> str:
        """A constant of this type; beyond 62 bits by 32-bit limbs, as C++ has no wider integers."""
        if abs(value) < 1 << 31:
            return f"{self}({value})"
        if abs(value) < 1 << 62:
            return f"{self}({value}LL)"
        return f"fx::join<{self}>({self.literal(value >> 32)}, {value & 0xFFFFFFFF}u)"


def signed_for(*codes: Code, spare: int = 0) -> Code:
    """A signed type that holds each of `codes`, and `spare` bits more."""
    return Code(max(c.width + (not c.signed) for c in codes) + spare, True)


@dataclass(frozen=True, eq=False)
class Elements:
    """A tensor in C++: element e is array[at[e]], of type `code`. Wiring changes `at` only and is free.

    A constant has `values` instead of an array until something reads it.
    """

    code: Code
    at: Array
    array: str = ""
    values: Array | None = None


@dataclass
class Function:
    """A C++ function under construction: `body` is its text, `constants` the static arrays before it."""

    graph: Graph
    body: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=lambda: set(RESERVED))
    tables: dict[tuple[str, bytes], str] = field(default_factory=dict)
    labels: dict[Node, str] = field(default_factory=dict)
    place: dict[Node, int] = field(default_factory=dict)
    pending: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.place = self.graph.index
        self.pending = sorted(self.graph.blocks, key=lambda b: b.start)
        for name, entry in self.graph.names.items():
            if entry.value is not None:
                self.labels.setdefault(entry.value, name)

    def name(self, wanted: str) -> str:
        """`wanted` as an identifier not used before."""
        base = re.sub(r"\W", "_", wanted, flags=re.ASCII) or "v"
        if base[0].isdigit() or base.startswith(("_", "ap_", "at_")):
            base = "t" + base
        out, count = base, 1
        while out in self.taken:
            count += 1
            out = f"{base}_{count}"
        self.taken.add(out)
        return out

    def line(self, text: str) -> None:
        self.body.append(text)

    def loop(self, counts: dict[str, int], *lines: str) -> None:
        """Nested loops {variable: count} around the lines; a loop of one pass is written as 0."""
        depth, text = 0, list(lines)
        for variable, count in counts.items():
            if count == 1:
                text = [re.sub(rf"\b{variable}\b", "0", t) for t in text]
            else:
                self.line("    " * depth + f"for (int {variable} = 0; {variable} < {count}; {variable}++) {{")
                depth += 1
        for t in text:
            self.line("    " * depth + t)
        for d in reversed(range(depth)):
            self.line("    " * d + "}")

    def input(self, node: Input) -> Elements:
        name = self.name(node.name)
        return Elements(Code.of(node.type), positions(node.type.shape), name)

    def declare(self, node: Node, code: Code | None = None, size: int | None = None) -> Elements:
        """A local array for the node's elements."""
        self.comment(node)
        code = code or Code.of(node.type)
        out = Elements(
            code, positions(node.type.shape), self.name(self.labels.get(node, f"v{self.place[node]}"))
        )
        size = node.type.size if size is None else size
        if size:
            self.line(f"{code} {out.array}[{size}]; // {node.type}")
            self.line(f"#pragma HLS ARRAY_PARTITION variable={out.array} complete")
        return out

    def comment(self, node: Node) -> None:
        """The blocks that begin at or before this node, one comment line each."""
        while self.pending and self.pending[0].start <= self.place[node]:
            self.line(f"// {self.pending.pop(0)}")

    def constant(self, values: Array, code: Code) -> Elements:
        return Elements(code, positions(values.shape), values=np.asarray(values))

    def read(self, e: Elements, shape: tuple[int, ...] | None = None, variables: str = "i") -> str:
        """C++ of one element of `e`, broadcast to `shape`, flattened to one axis per loop variable."""
        at = e.at if shape is None else np.broadcast_to(e.at, shape)
        if len(variables) == 1:
            at = at.reshape(-1)
        if e.values is not None:
            flat = e.values.reshape(-1)
            used = flat[np.unique(at)]
            if used.size and np.all(used == used[0]):
                return e.code.literal(int(used[0]))
            array = self.table(e.code, flat, "c")
        else:
            array = e.array
        return f"{array}[{self.index(at, variables)}]"

    def table(self, code: Code | str, values: Array, prefix: str) -> str:
        """The name of a static array with these integers."""
        key = (str(code), array_digest(values))
        if key not in self.tables:
            name = self.tables[key] = self.name(f"{prefix}{len(self.tables)}")
            texts = [str(int(v)) if abs(int(v)) < 1 << 31 else "" for v in values]
            for i, v in enumerate(values):
                if not texts[i]:
                    wide = abs(int(v)) >= 1 << 62 and isinstance(code, Code)
                    texts[i] = code.literal(int(v)) if wide else f"{int(v)}LL"
            self.constants.append(f"static const {code} {name}[{len(values)}] = {{")
            self.constants.extend(_filled(texts))
            self.constants.append("};")
        return self.tables[key]

    def index(self, at: Array, variables: str) -> str:
        """C++ of at[i, j, ..]: a number, an affine form, i / a % b, or a table."""
        expression = _affine(at, variables) or _periodic(at, variables)
        if expression:
            return expression
        live = [a for a in range(at.ndim) if np.any(np.diff(at, axis=a))]
        part = at[tuple(slice(None) if a in live else 0 for a in range(at.ndim))]
        table = self.table("unsigned", part.reshape(-1), "at")
        weights = np.cumprod([1, *part.shape[:0:-1]])[::-1]
        terms = [_term(int(w), variables[a]) for w, a in zip(weights, live, strict=True)]
        return f"{table}[{' + '.join(terms)}]"


def positions(shape: tuple[int, ...]) -> Array:
    return np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)


def _term(weight: int, variable: str) -> str:
    return variable if weight == 1 else f"{variable} * {weight}"


def _affine(at: Array, variables: str) -> str:
    base, weights = int(at.flat[0]), []
    fitted = np.full(at.shape, base)
    for axis, n in enumerate(at.shape):
        w = int(at[tuple(int(a == axis) for a in range(at.ndim))]) - base if n > 1 else 0
        weights.append(w)
        fitted = fitted + w * np.arange(n).reshape((-1,) + (1,) * (at.ndim - 1 - axis))
    if not np.array_equal(fitted, at):
        return ""
    terms = [_term(w, v) for w, v in zip(weights, variables, strict=True) if w]
    if base or not terms:
        terms.insert(0, str(base))
    return " + ".join(terms).replace("+ -", "- ")


def _periodic(at: Array, variables: str) -> str:
    """i / a % b for broadcast operands in a flat loop."""
    if at.ndim != 1 or at[0] != 0 or at.min() != 0:
        return ""
    i, top = np.arange(at.size), int(at.max()) + 1
    run = int(np.argmax(at != 0))
    if np.array_equal(i // run % top, at):
        head = variables if run == 1 else f"{variables} / {run}"
        return head if np.array_equal(i // run, at) else f"{head} % {top}"
    return ""


def _filled(texts: list[str], width: int = 110) -> list[str]:
    lines, line = [], "   "
    for t in texts:
        if len(line) + len(t) + 2 > width:
            lines.append(line)
            line = "   "
        line += f" {t},"
    return [*lines, line]
