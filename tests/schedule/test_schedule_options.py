"""What a user may ask of a schedule, and how a request that cannot be met is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rtl
from fxsim import SQ, Graph, ops, trace
from fxsim.layers import conv2d, dense
from fxsim.trace import Tensor
from rtl.schedule.options import Mode, Options
from rtl.stream.folded_feeder import Feeder

KERNEL = np.arange(36).reshape(3, 3, 2, 2) % 5 - 2


def network(x: Tensor) -> Tensor:
    y = conv2d(x, KERNEL, padding=1, name="conv").relu().cast(SQ(4, 0))
    return dense(y.reshape(-1), np.arange(96).reshape(32, 3) % 7 - 3, name="head")


def graph(fn: Callable[..., Any] = network, shape: Any = (4, 4, 2), inputs: int = 1) -> Graph:
    return trace(fn, *[SQ(4, 0)] * inputs, shape=shape, name="g")


@pytest.mark.parametrize(
    ("text", "mode", "spelled"),
    [
        ("streamed", Mode("streamed"), "streamed"),
        (" streamed ( 3 ) ", Mode("streamed", 3), "streamed(3)"),
        ("streamed(1)", Mode("streamed"), "streamed"),
        ("streamed(row)", Mode("streamed", None), "streamed(row)"),
        ("folded(12)", Mode("folded", 1, 12), "folded(12)"),
        ("unrolled", Mode("unrolled"), "unrolled"),
        (Mode("folded", 1, 2), Mode("folded", 1, 2), "folded(2)"),
    ],
)
def test_spellings(text: Any, mode: Mode, spelled: str) -> None:
    assert Mode.parse(text) == mode
    assert str(mode) == spelled and Mode.parse(spelled) == mode


def test_blocks_with_modes_of_their_own() -> None:
    found = Options.of(graph(), {"head": "folded(3)", "*": "streamed"})
    assert str(found) == "streamed (head: folded(3))"
    assert found.mode_of("head") == Mode("folded", 1, 3) and found.mode_of("conv") == Mode("streamed")
    assert str(Options.of(graph(), {})) == "streamed"

    def feeders(schedule: Any) -> list[str]:
        core: Any = rtl.build(graph(), schedule=schedule)
        return [p.name for p in core.network.parts if isinstance(p, Feeder)]

    assert feeders("streamed") == ["head_pe_feed"]  # as many elements as keep up with the pixels
    assert feeders("folded(1)") == ["conv_pe_feed", "head_pe_feed"]
    assert feeders({"conv": "folded(2)", "head": "unrolled"}) == ["conv_pe_feed"]
    assert feeders({"*": "folded(2)", "conv": "unrolled"}) == ["head_pe_feed"]


REFUSED: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "spelling": ("steamed", {}, ValueError,
                 "schedule must be unrolled or one of streamed, streamed(PIXELS), streamed(row), folded"),
    "number": (3, {}, ValueError, "schedule must be unrolled or one of streamed"),
    "none": (None, {}, ValueError, "schedule must be unrolled or one of streamed"),
    "pe missing": ("folded", {}, ValueError,
                   "schedule folded must name its processing elements, as in folded(4), not 'folded'"),
    "pe row": ("folded(row)", {}, ValueError, "schedule folded must name its processing elements"),
    "pe zero": ("folded(0)", {}, ValueError, "schedule folded must name its processing elements"),
    "pixels zero": ("streamed(0)", {}, ValueError, "pixels per clock must be at least 1, not 0"),
    "pixels": ("streamed(5)", {}, ValueError,
               "pixels per clock must be at most the 4 of a row of input 'x', not 5"),
    "unknown block": ({"nope": "streamed"}, {}, ValueError,
                      "schedule must name blocks of the graph, ['conv', 'head'] or *, not ['nope']"),
    "pixels of a block": ({"conv": "streamed(2)"}, {}, ValueError,
                          "pixels per clock are those of *, streamed; a block must not have ['streamed(2)']"),
    "pe": ("folded(5)", {}, ValueError,
           "pe of conv must be a product of a divisor of 2 and a divisor of 2, for example 4, not 5"),
    "pe of a block": ({"conv": "folded(3)"}, {}, ValueError,
                      "pe of conv must be a product of a divisor of 2 and a divisor of 2, for example 2 "
                      "or 4, not 3"),
    "pixels of a folded block": ({"conv": "folded(1)", "*": "streamed(2)"}, {}, ValueError,
                                 "schedule of block 'conv' must not be folded(1): more than one pixel of its "
                                 "input comes in a beat"),
    "axes": ("streamed", {"axes": (0, 3)}, ValueError,
             "axes of input 'x' must be different axes of (4, 4, 2), not (0, 3)"),
    "axes from the end": ("streamed", {"axes": (0, -2)}, ValueError,
                          "axes of input 'x' must be different axes of (4, 4, 2), not (0, -2)"),
    "axes twice": ("streamed", {"axes": (1, 1)}, ValueError,
                   "axes of input 'x' must be different axes of (4, 4, 2), not (1, 1)"),
    "axes that are text": ("streamed", {"axes": "01"}, TypeError,
                           "axes of input 'x' must be a sequence of integers, not '01'"),
    "axis alone": ("streamed", {"axes": 0}, TypeError,
                   "axes of input 'x' must be a sequence of integers, not 0"),
    "axes that are no integers": ("streamed", {"axes": (0.5, 1)}, TypeError,
                                  "an axis of input 'x' must be an integer, not 0.5"),
    "axes of no input": ("streamed", {"axes": {"q": (0,)}}, ValueError,
                         "axes must name inputs of the graph, not ['q']"),
    "encoding": ("streamed", {"encoding": "signs"}, ValueError,
                 "encoding must be codes or shifts or auto, not 'signs'"),
    "option": ("streamed", {"colour": 1}, TypeError, "'colour'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    schedule, options, error, text = REFUSED[name]
    with pytest.raises(error, match=re.escape(text)):
        rtl.build(graph(), schedule=schedule, **options)


NETWORKS: dict[str, tuple[Callable[..., Any], Any, Any, dict[str, Any], type[Exception], str]] = {
    "a constant": (lambda x: (x + 1, x * 0), (4, 4), "streamed", {}, ValueError,
                   "output 'y1' must depend on an input to be streamed; it is a constant"),
    "no elements": (lambda x: (x, x[:0]), (4, 4), "streamed", {}, ValueError,
                    "'y1' must have at least one element to be streamed, not shape (0, 4)"),
    "no elements in": (lambda x: x.sum(0), (0, 4), "streamed", {}, ValueError,
                       "'x' must have at least one element to be streamed, not shape (0, 4)"),
    "lanes and a stride": (lambda x: conv2d(x, KERNEL, stride=3), (6, 6, 2), "streamed(2)", {}, ValueError,
                           "pixels per clock must be 1, a whole row, or a multiple of the stride 3 where a "
                           "window moves by 3 columns, not 2"),
    "lanes of a signal": (lambda x: x._apply(ops.Window((2,), (1,), (1,), (0,), (0,))), (6, 2), "streamed(2)",
                          {}, ValueError, "pixels per clock must be 1 for windows along one axis, not 2"),
    "no common pace": (lambda x, y: x + y, [(4, 4), (4,)], "streamed", {"axes": {"x": (0, 1), "y": (0,)}},
                       ValueError, "inputs must have equally many beats to travel side by side, not ['x: 16'"
                       ", 'y: 4']; say along which axes they stream"),
    "axes of two": (lambda x, y: x + y, (4, 4), "streamed", {"axes": (0, 1)}, ValueError,
                    "axes must be a mapping from input names for 2 inputs, not (0, 1)"),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_are_refused(name: str) -> None:
    fn, shape, schedule, options, error, text = NETWORKS[name]
    made = graph(fn, shape, fn.__code__.co_argcount)
    with pytest.raises(error, match=re.escape(text)):
        rtl.build(made, schedule=schedule, **options)


def test_a_kernel_beyond_the_image_makes_no_graph() -> None:
    with pytest.raises(TypeError, match="does not fit axis 0"):
        graph(lambda x: conv2d(x, np.ones((5, 5, 2, 1), int)))


def test_depthwise_processing_elements_divide_the_channels() -> None:
    def depthwise(x: Tensor) -> Tensor:
        with x.builder.block("depthwise", "deep", [x]) as outputs:
            rows = x._apply(ops.Window((2, 2), (1, 1), (1, 1), (0, 0), (0, 0))).reshape(3, 3, 4, 2)
            outputs.append((rows * np.arange(1, 9).reshape(4, 2)).sum(2))
        return outputs[0]

    with pytest.raises(ValueError, match="pe of deep must divide its 2 elements of a beat, not 3"):
        rtl.build(graph(depthwise), schedule="folded(3)")
    core: Any = rtl.build(graph(depthwise), schedule="folded(2)")
    assert [type(p).__name__ for p in core.network.parts] == ["Fifo", "Feeder", "Pipe", "Accumulate"]


def test_no_machine_is_streamed() -> None:
    with pytest.raises(TypeError, match=r"graph must be a fxsim\.Graph"):
        rtl.build(object(), schedule="streamed")


def test_header_says_how_it_was_built() -> None:
    core: Any = rtl.build(graph(), schedule={"head": "folded(3)"})
    text = core.verilog()
    assert "g: written by fxsim; streamed (head: folded(3))" in text
    assert "a frame is 16 beats of i (x: 4x4 along axes (0, 1)) and 1 of o (y: whole)" in text


@pytest.mark.parametrize("schedule", [{"*": "unrolled"}, {"conv": "streamed", "*": "unrolled"}, " unrolled"])
def test_unrolled_is_for_the_whole_or_for_blocks(schedule: Any) -> None:
    with pytest.raises(ValueError, match=r"schedule of \* must be one of streamed"):
        rtl.build(graph(), schedule=schedule)


def test_unknown_option_of_a_stream() -> None:
    with pytest.raises(TypeError, match=r"must be axes, encoding or writable, not \['lanes'\]"):
        rtl.build(graph(), schedule="streamed", lanes=2)
