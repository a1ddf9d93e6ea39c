"""Millions of vectors through a core: Verilator as a library, NumPy in and out, pauses on both streams."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtl.bench import model as _model
from rtl.bench.patterns import Cycle, Pattern, Random, never, pair
from rtl.bench.protocol import HOLD, bounds, check_progress, drain_cycles, fault_text, filling, latency
from rtl.bench.recording import Buffers, CProbes, Recording
from rtl.layout import Layout

_BUDGET = 1 << 18  # cycles run in one call into the library, so that Ctrl-C is heard


class _Pattern(ctypes.Structure):
    _fields_ = [
        ("state", ctypes.c_uint64),
        ("threshold", ctypes.c_uint64),
        ("pauses", ctypes.c_void_p),
        ("length", ctypes.c_int64),
    ]


class _Job(ctypes.Structure):  # struct Job of native.cpp
    _fields_ = [
        ("input", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
        *[(name, ctypes.c_int64) for name in ("n_in", "n_out", "in_words", "out_words")],
        *[(name, ctypes.c_int64) for name in ("cycles", "sent", "received", "first_in", "first_out")],
        *[(name, ctypes.c_int64) for name in ("last_progress", "offering", "held", "fault", "spurious")],
        ("idle", _Pattern),
        ("backpressure", _Pattern),
        ("probes", ctypes.POINTER(CProbes)),
    ]


@dataclass(frozen=True)
class NativeResult:
    """What came out: one array (n, *shape) per output port, in raw integers.

    cycles: clock edges from the first cycle after reset to the last output taken, both included.
    latency: clock cycles from the first word taken to the first valid output; -1 if there was none.
    """

    outputs: list[np.ndarray] = field(repr=False)
    cycles: int
    latency: int
    samples: int

    @property
    def output(self) -> np.ndarray:
        """The only output port's array; ValueError if there are several."""
        if len(self.outputs) != 1:
            raise ValueError(f"there must be one output port, not {len(self.outputs)}")
        return self.outputs[0]


def simulate(
    verilog: str,
    top: str,
    in_layout: Layout,
    out_layout: Layout,
    inputs: Any,
    *,
    idle: float | Pattern = 0.0,
    backpressure: float | Pattern = 0.0,
    seed: int = 0,
    max_cycles: int | None = None,
    samples: int | None = None,
    reset_check: bool = True,
    fill: int | None = None,
    patience: int = 0,
) -> NativeResult:
    """Stream `inputs` through module `top` of `verilog` and return every output; see `Core.run`."""
    core = build(verilog, top, in_layout, out_layout)
    return core.run(
        inputs,
        idle=idle,
        backpressure=backpressure,
        seed=seed,
        max_cycles=max_cycles,
        samples=samples,
        reset_check=reset_check,
        fill=fill,
        patience=patience,
    )


def build(verilog: str, top: str, in_layout: Layout, out_layout: Layout) -> Core:
    """Compile the core, or find it in the cache.

    Raises what `rtl.bench.model.build` raises, and ValueError if a payload is not as wide as its layout.
    """
    compiled = _model.build(verilog, top)
    compiled.check_widths(in_layout, out_layout)
    return Core(compiled.library, in_layout, out_layout)


class Core:
    """A compiled core and the layouts of its two streams."""

    def __init__(self, library: Path, in_layout: Layout, out_layout: Layout) -> None:
        self.in_layout, self.out_layout = in_layout, out_layout
        self._library = _load(library)

    def run(
        self,
        inputs: Any,
        *,
        idle: float | Pattern = 0.0,
        backpressure: float | Pattern = 0.0,
        seed: int = 0,
        max_cycles: int | None = None,
        samples: int | None = None,
        reset_check: bool = True,
        fill: int | None = None,
        patience: int = 0,
        recording: Recording | None = None,
    ) -> NativeResult:
        """Reset the core, offer every sample of `inputs` (as `Layout.pack` takes them), collect the outputs.

        idle, backpressure: a Pattern, or the probability of a pause in each cycle, drawn from `seed`.
        samples: outputs expected, by default as many as inputs. max_cycles: bound on the clock cycles, by
        default generous and extended as long as words keep flowing; see `bounds`.
        reset_check: first fill the core, pause it and reset it in mid-stream, so that every result also shows
        that reset forgets everything. fill: the clock cycles before, by default as many as a pipeline needs.
        patience: clock cycles of standstill that are allowed beyond those of every core.
        recording: is filled with what the links of a core built with probes did, also where this raises.
        Raises TimeoutError at the bound and RuntimeError when the core breaks the handshake (an offer
        withdrawn or changed, an output after reset or beyond `samples`), both with cycle and sample.
        """
        words = self.run_words(
            self.in_layout.pack(inputs),
            idle=idle,
            backpressure=backpressure,
            seed=seed,
            max_cycles=max_cycles,
            samples=samples,
            reset_check=reset_check,
            fill=fill,
            patience=patience,
            recording=recording,
        )
        out, job = words
        return NativeResult(
            self.out_layout.unpack(out), job.cycles, latency(job.first_in, job.first_out), len(out)
        )

    def run_words(
        self,
        words: np.ndarray,
        *,
        idle: float | Pattern = 0.0,
        backpressure: float | Pattern = 0.0,
        seed: int = 0,
        max_cycles: int | None = None,
        samples: int | None = None,
        reset_check: bool = True,
        fill: int | None = None,
        patience: int = 0,
        recording: Recording | None = None,
    ) -> tuple[np.ndarray, _Job]:
        """As `run` on packed words (n, in_layout.words); returns packed words and the counters of the run."""
        words = np.ascontiguousarray(words, np.uint32)
        count = len(words) if samples is None else samples
        sides = pair(idle, backpressure, seed)
        limit, patience = bounds(len(words), count, sides, max_cycles, patience)
        library, buffers = self._library, Buffers(recording) if recording else None
        handle = library.fx_new()
        try:
            self._reset(handle)
            if reset_check and len(words):
                flow = filling(len(words), fill)
                stop = Cycle((False,) * flow + (True,) * HOLD + (False,))
                begun, _ = self._job(words, max(len(words), count), (never(), stop))
                library.fx_run(handle, ctypes.byref(begun), flow + HOLD)
                _raise_fault(begun)
                self._reset(handle)
            job, out = self._job(words, count, sides)
            if buffers:
                job.probes = ctypes.pointer(buffers.probes)
            while job.received < job.n_out:
                standstill = job.last_progress + patience + 1 - job.cycles
                library.fx_run(handle, ctypes.byref(job), min(_BUDGET, limit - job.cycles, standstill))
                _raise_fault(job)
                if job.received < job.n_out:
                    check_progress(
                        job.cycles, job.sent, job.received, job.n_out, job.last_progress, limit, patience
                    )
            if job.sent == job.n_in:
                rest = drain_cycles(latency(job.first_in, job.first_out))
                rest = max(rest, recording.settle) if recording else rest
                library.fx_drain(handle, ctypes.byref(job), rest)
                if job.spurious:
                    raise RuntimeError(
                        f"the core gave {job.spurious} samples more than the {job.n_out} expected"
                    )
        finally:
            library.fx_free(handle)
            if buffers:
                buffers.finish()
        return out, job

    def _reset(self, handle: int) -> None:
        if self._library.fx_reset(handle, 2):
            raise RuntimeError("o__valid must be 0 in the cycle after reset, not 1")

    def _job(self, words: np.ndarray, count: int, sides: tuple[Pattern, Pattern]) -> tuple[_Job, np.ndarray]:
        out = np.zeros((count, self.out_layout.words), np.uint32)
        job = _Job(input=words.ctypes.data, output=out.ctypes.data, n_in=len(words), n_out=count)
        job.in_words, job.out_words = self.in_layout.words, self.out_layout.words
        job.first_in = job.first_out = -1
        keep = []
        for name, side in zip(("idle", "backpressure"), sides, strict=True):
            code, data = _encode(side)
            setattr(job, name, code)
            keep.append(data)
        job.keep = (words, out, keep)  # the library holds bare addresses
        return job, out


def _raise_fault(job: _Job) -> None:
    if job.fault:
        raise RuntimeError(fault_text(job.fault, job.cycles, job.received))


def _encode(pattern: Pattern) -> tuple[_Pattern, np.ndarray | None]:
    if pattern.never:
        return _Pattern(0, 0, None, 0), None
    if isinstance(pattern, Random):
        return _Pattern(pattern.state, pattern.threshold, None, 0), None
    if isinstance(pattern, Cycle):
        data = np.array(pattern.pauses, np.uint8)
        return _Pattern(0, 0, data.ctypes.data, len(data)), data
    raise TypeError(f"pattern must be Random or Cycle, not {pattern!r}")


@functools.cache
def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.fx_new.restype = ctypes.c_void_p
    library.fx_free.argtypes = [ctypes.c_void_p]
    library.fx_free.restype = None
    library.fx_reset.argtypes = [ctypes.c_void_p, ctypes.c_int64]
    library.fx_reset.restype = ctypes.c_int64
    for function in (library.fx_run, library.fx_drain):
        function.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Job), ctypes.c_int64]
        function.restype = None
    return library
