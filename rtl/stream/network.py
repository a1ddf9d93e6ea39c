"""A network of parts joined by streams: one Verilog file, one Amaranth module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth import Module

from rtl.lower.names import KEYWORDS, identifier
from rtl.stream.part import Part, header
from rtl.text import span


@dataclass(frozen=True, eq=False)
class Link:
    """The stream from output `port` of `source` to input `target_port` of `target`; None is the network's own
    end. `carries` says what a beat is, for readers (benches, probes); hardware never sees it."""

    source: Part | None
    port: str
    target: Part | None
    target_port: str
    bits: int
    carries: Any = None

    @property
    def wire(self) -> str:
        """The prefix of the link's signals in the network's module."""
        if self.source is None:
            return "i"
        return "o" if self.target is None else f"{self.source.name}__{self.port}"

    def __str__(self) -> str:
        ends = (
            "input" if self.source is None else f"{self.source.name}.{self.port}",
            "output" if self.target is None else f"{self.target.name}.{self.target_port}",
        )
        return " -> ".join(ends)


@dataclass
class Network:
    """Parts in an order in which every link goes forwards, and their links; `top` names the module.

    One link comes from the network's input stream `i`, one goes to its output stream `o`.
    """

    top: str
    parts: list[Part] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    def add(self, part: Any) -> Any:
        """The part, now in the network. ValueError for a name that is taken, or that Verilog does not
        allow."""
        if not part.name.isascii() or not part.name.isidentifier() or part.name in KEYWORDS:
            raise ValueError(
                f"name of a part must be an identifier and no keyword of Verilog, not {part.name!r}"
            )
        if part.name in {p.name for p in self.parts}:
            raise ValueError(f"name of a part must be unique in the network, not {part.name!r} again")
        self.parts.append(part)
        return part

    def connect(
        self, source: Part | None, port: str, target: Part | None, target_port: str, carries: Any = None
    ) -> Link:
        """A new link. ValueError where widths differ, an end is taken already, or the link goes backwards."""
        ends = []
        for part, name, side in ((source, port, "outputs"), (target, target_port, "inputs")):
            if part is not None:
                if part not in self.parts:
                    raise ValueError(f"part {part.name!r} is not in the network")
                found = {s.name: s for s in getattr(part, side)}
                if name not in found:
                    raise ValueError(f"{side} of {part.name} must be one of {sorted(found)}, not {name!r}")
                ends.append(found[name].bits)
        if len(set(ends)) > 1:
            raise ValueError(
                f"bits of the ends of a link must be equal, not {ends[0]} of {source and source.name}.{port} "
                f"and {ends[1]} of {target and target.name}.{target_port}"
            )
        if source is not None and target is not None and self.parts.index(source) >= self.parts.index(target):
            raise ValueError(f"{source.name} must stand before {target.name} in the network")
        for link in self.links:
            taken = link.source is source and link.port == port
            if taken or (link.target is target and link.target_port == target_port):
                raise ValueError(f"stream {link} exists already; no end can take another")
        link = Link(source, port, target, target_port, ends[0], carries)
        self.links.append(link)
        return link

    def check(self) -> None:
        """ValueError for an end of a part, or of the network, that no link uses."""
        used = {(link.source, link.port) for link in self.links} | {
            (link.target, link.target_port) for link in self.links
        }
        for part in self.parts:
            for s in (*part.inputs, *part.outputs):
                if (part, s.name) not in used:
                    raise ValueError(f"stream {s.name} of {part.name} must be linked")
        for attribute, name in (("source", "input"), ("target", "output")):
            if sum(getattr(link, attribute) is None for link in self.links) != 1:
                raise ValueError(f"the network must have one {name} stream")

    @property
    def first(self) -> Link:
        """The link from the network's input."""
        return next(link for link in self.links if link.source is None)

    @property
    def last(self) -> Link:
        """The link to the network's output."""
        return next(link for link in self.links if link.target is None)

    @property
    def inner(self) -> list[Link]:
        """The links between parts."""
        return [link for link in self.links if link.source is not None and link.target is not None]

    def extra(self, part: Part) -> list[tuple[str, int, bool]]:
        """(name, width, whether it is an input) of a part's ports that are no stream's; in the network's
        module
        they are wires PART__NAME."""
        own = {name for s in (*part.inputs, *part.outputs) for name, _ in s.signals()}
        return [port for port in part.ports() if port[0] not in own]

    def prefix(self, part: Part, port: str) -> str:
        """What the signals of a part's stream are called in the network's module."""
        for link in self.links:
            if (link.source is part and link.port == port) or (
                link.target is part and link.target_port == port
            ):
                return link.wire
        raise KeyError(f"{part.name}.{port}")

    # ---- Verilog --------------------------------------------------------------------------------------

    def verilog(
        self, comments: Sequence[str] = (), ports: Sequence[str] = (), more: Sequence[str] = ()
    ) -> str:
        """The whole file; `ports` and `more` are further declarations and lines of the module."""
        declared = [
            "input clk", "input rst",
            f"input {span(self.first.bits)}i__payload", "input i__valid", "output i__ready",
            f"output {span(self.last.bits)}o__payload", "output o__valid", "input o__ready", *ports,
        ]  # fmt: skip
        return "\n".join(
            [
                *header(comments), f"module {self.top}(",
                *(f"  {p}," for p in declared[:-1]), f"  {declared[-1]}", ");",
                *self.body(), *more, "endmodule", "", *self.modules(),
            ]
        ) + "\n"  # fmt: skip

    def probe_ports(self) -> tuple[list[str], list[str]]:
        """(ports, more) for `verilog` that show every link: probe__K__payload, K its place in `links`, and
        bit K of probe__valid and probe__ready."""
        ports, more = [], []
        for k, link in enumerate(self.links):
            ports.append(f"output {span(link.bits)}probe__{k}__payload")
            more.append(f"  assign probe__{k}__payload = {link.wire}__payload;")
        for name in ("valid", "ready"):
            ports.append(f"output {span(len(self.links))}probe__{name}")
            bits = ", ".join(f"{link.wire}__{name}" for link in reversed(self.links))
            more.append(f"  assign probe__{name} = {{{bits}}};")
        return ports, more

    def body(self) -> list[str]:
        """Verilog lines of the network's module: wires of the inner links, an instance per part."""
        lines = []
        for link in self.inner:
            lines.append(f"  wire {span(link.bits)}{link.wire}__payload;")
            lines.append(f"  wire {link.wire}__valid, {link.wire}__ready;")
        for part in self.parts:
            lines += [f"  wire {span(width)}{part.name}__{name};" for name, width, _ in self.extra(part)]
        for part in self.parts:
            lines += [
                "",
                f"  // {part.title}",
                f"  {self.module_of(part)} {part.name}(",
                "    .clk(clk), .rst(rst),",
            ]
            rows = []
            for s in (*part.inputs, *part.outputs):
                wire = self.prefix(part, s.name)
                rows.append(", ".join(f".{s.name}__{k}({wire}__{k})" for k in ("payload", "valid", "ready")))
            rows += [f".{name}({part.name}__{name})" for name, _, _ in self.extra(part)]
            lines += [*(f"    {r}," for r in rows[:-1]), f"    {rows[-1]}", "  );"]
        return lines

    def modules(self) -> list[str]:
        """Verilog lines of all parts' modules."""
        return [line for part in self.parts for line in (*part.modules(self.module_of(part)),)]

    def module_of(self, part: Part) -> str:
        return identifier(f"{self.top}_{part.name}")

    # ---- Amaranth -------------------------------------------------------------------------------------

    def elaborate(self, m: Module, i: Any, o: Any) -> dict[str, Any]:
        """Adds all parts to `m` between the streams i and o; returns the signals PART__NAME of `extra`
        ports."""
        pins = {}
        for part in self.parts:
            made, pins[part] = part.component()
            m.submodules[part.name] = made
        for link in self.links:
            names = ("payload", "valid", "ready")
            source = {k: getattr(i, k) for k in names} if link.source is None else {
                k: pins[link.source][f"{link.port}__{k}"] for k in names
            }  # fmt: skip
            target = {k: getattr(o, k) for k in names} if link.target is None else {
                k: pins[link.target][f"{link.target_port}__{k}"] for k in names
            }  # fmt: skip
            m.d.comb += [
                target["payload"].eq(source["payload"]),
                target["valid"].eq(source["valid"]),
                source["ready"].eq(target["ready"]),
            ]
        return {f"{p.name}__{name}": pins[p][name] for p in self.parts for name, _, _ in self.extra(p)}
