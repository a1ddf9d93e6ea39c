"""Folded layers against integer convolution, and their cycles against the words of rtl/stream/control.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rtl.bench.patterns import Pattern
from rtl.layout import Layout, Port
from rtl.stream.control import Buffered, Steps
from rtl.stream.folded import Engine, engine
from rtl.stream.network import Network

LIMIT = 50_000  # cycles


def chain(made: Engine, top: str) -> Network:
    """The network of the engine's parts."""
    net = Network(top)
    last, port = None, "i"
    for part in made.parts:
        net.add(part)
        net.connect(last, port, part, "i")
        last, port = part, "o"
    net.connect(last, "o", None, "o")
    net.check()
    return net


def layouts(made: Engine, signed: bool) -> tuple[Layout, Layout]:
    """Of the engine's input and output stream."""
    feeder = made.feeder
    into = Port("x", (feeder.elements,), feeder.bits, signed)
    return Layout((into,)), Layout((Port("y", (made.po,), made.bits, made.signed),))


def convolved(
    x: np.ndarray, w: np.ndarray, stride: Any, dilation: Any, before: Any, after: Any, fill: int
) -> np.ndarray:
    """Frames (n, h, w, channels) -> (n, oh, ow, outputs), in integers; depthwise where w has three axes."""
    (sh, sw), (dh, dw), (kh, kw) = stride, dilation, w.shape[:2]
    x = np.pad(x, ((0, 0), *zip(before, after, strict=True), (0, 0)), constant_values=fill)
    oh = (x.shape[1] - (kh - 1) * dh - 1) // sh + 1
    ow = (x.shape[2] - (kw - 1) * dw - 1) // sw + 1
    out = np.zeros((len(x), oh, ow, w.shape[-1]), np.int64)
    for i in range(kh):
        for j in range(kw):
            taps = x[:, i * dh :, j * dw :][:, : (oh - 1) * sh + 1 : sh, : (ow - 1) * sw + 1 : sw]
            out += taps @ w[i, j] if w.ndim == 4 else taps * w[i, j]
    return out


class Case:
    """A layer with random weights and frames: `made`, its beats in, and the beats that must come out."""

    def __init__(
        self, seed: int, top: str, frames: int = 3, w_range: tuple[int, int] = (-7, 7), **p: Any
    ) -> None:
        rng = np.random.default_rng(seed)
        depthwise, out = p.pop("depthwise", False), p.pop("out", 1)
        kernel = p.pop("kernel", (1, 1))
        p = {"height": 1, "width": 1, "words": 1, "elements": 1, "bits": 4, "signed": True, "pe": 1} | p
        channels = p["words"] * p["elements"]
        shape = (*kernel, abs(channels)) if depthwise else (*kernel, abs(channels), out)
        self.weights = p.pop("weights", None)
        if self.weights is None:
            self.weights = rng.integers(w_range[0], w_range[1], shape, endpoint=True)
        self.made = engine("layer", top, self.weights, **p)
        self.signed = p["signed"]
        lo, hi = (
            (-(1 << p["bits"] - 1), (1 << p["bits"] - 1) - 1) if self.signed else (0, (1 << p["bits"]) - 1)
        )
        lo, hi = p.get("lo", lo), p.get("hi", hi)
        x = rng.integers(lo, hi, (frames, p["height"], p["width"], channels), endpoint=True)
        self.net = chain(self.made, top)
        none = {"stride": (1, 1), "dilation": (1, 1), "before": (0, 0), "after": (0, 0), "fill": 0}
        y = convolved(x, self.weights, **{k: p.get(k, v) for k, v in none.items()})
        assert y.shape[1:3] == self.made.out
        self.inputs = x.reshape(-1, p["elements"])
        self.outputs = y.reshape(-1, self.made.po)
        self.layouts = layouts(self.made, self.signed)

    def words(self) -> tuple[list[int], list[int]]:
        """The payloads, in and out."""
        into, out = self.layouts
        return into.integers(into.pack(self.inputs)), out.integers(out.pack(self.outputs))


class Stage:
    """One part of a chain by its control: registers `valid`, `ready` from the next one's, `edge`."""

    def __init__(self, rule: Buffered | Steps) -> None:
        self.rule, self.step, self.pipe = rule, 0, [False] * rule.depth
        self.written = self.freed = self.base = 0

    def ready(self, after: bool) -> bool:
        if isinstance(self.rule, Buffered):
            return self.written - self.freed < self.rule.capacity
        return (after or not self.pipe[-1]) and bool(self.rule.takes[self.step])

    def edge(self, offered: bool, taken: bool, after: bool) -> None:
        rule = self.rule
        if after or not self.pipe[-1]:
            if isinstance(rule, Buffered):
                fires = self.written - self.base > rule.reads[self.step]
                fires |= rule.reads[self.step] < 0
            else:
                fires = offered or not rule.needs[self.step]
            self.pipe = [bool(fires and rule.emits[self.step]), *self.pipe[:-1]]
            if fires:
                if isinstance(rule, Buffered):
                    self.freed = self.base + int(rule.frees[self.step])
                self.step += 1
                if self.step == len(rule.emits):
                    self.step = 0
                    self.base += getattr(rule, "beats", 0)
        self.written += taken


def predicted(
    net: Network, sent: int, expected: int, idle: Pattern, backpressure: Pattern
) -> tuple[int, int]:
    """(cycles, latency) as `rtl.bench.native` counts them."""
    stages = [Stage(part.control()) for part in net.parts]
    offering, first_in, first_out = False, -1, -1
    sides: Iterator[tuple[int, bool, bool]] = zip(range(LIMIT), idle, backpressure, strict=False)
    for cycle, pause, stall in sides:
        offering |= sent > 0 and not pause
        valid = [offering, *(s.pipe[-1] for s in stages)]
        ready = [not stall]
        for s in reversed(stages):
            ready.insert(0, s.ready(ready[0]))
        if valid[-1]:
            first_out = cycle if first_out < 0 else first_out
            expected -= ready[-1]
        for k, s in enumerate(stages):
            s.edge(valid[k], valid[k] and ready[k], ready[k + 1])
        if offering and ready[0]:
            first_in = cycle if first_in < 0 else first_in
            sent, offering = sent - 1, False
        if not expected:
            return cycle + 1, max(0, first_out - first_in)
    raise TimeoutError(f"{expected} beats are missing after {LIMIT} cycles")
