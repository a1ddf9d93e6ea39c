"""Networks of parts: what may be joined to what, and the text of the whole."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rtl.bench import native
from rtl.layout import Layout, Port
from rtl.stream import Network
from rtl.stream.fifo import Fifo
from rtl.stream.gather import Gather
from rtl.stream.take import Take


def row(*parts):
    """The parts one after the other."""
    network = Network("row")
    for part in parts:
        network.add(part)
    network.connect(None, "i", parts[0], "i")
    for a, b in pairwise(parts):
        network.connect(a, "o", b, "i")
    network.connect(parts[-1], "o", None, "o")
    return network


def test_links_and_their_signals():
    a, b = Fifo("a", 8, 2), Take("b", 8, ((2, 6),))
    network = row(a, b)
    network.check()
    assert [str(link) for link in network.links] == ["input -> a.i", "a.o -> b.i", "b.o -> output"]
    assert [link.wire for link in network.links] == ["i", "a__o", "o"]
    assert (network.first.bits, network.last.bits, network.inner[0].bits) == (8, 4, 8)


def test_take_in_verilog():
    network = row(Gather("pair", 8, 2), Take("some", 16, ((12, 16), (0, 8))))
    x = np.random.default_rng(0).integers(0, 256, (60, 1))
    got = native.simulate(
        network.verilog(["text"]), "row", Layout((Port("x", (1,), 8, False),)),
        Layout((Port("high", (1,), 4, False), Port("low", (1,), 8, False))), [x],
        idle=0.3, backpressure=0.4, samples=30,
    )  # fmt: skip
    np.testing.assert_array_equal(got.outputs[0], x[1::2] >> 4)
    np.testing.assert_array_equal(got.outputs[1], x[::2])


@pytest.mark.parametrize("name", ["fork", "a b", "é"])
def test_name_that_verilog_does_not_allow(name):
    class Named:
        pass

    part = Named()
    part.name = name
    with pytest.raises(ValueError, match="identifier and no keyword"):
        Network("n").add(part)


def test_what_cannot_be_joined():
    network = Network("n")
    a, b = network.add(Fifo("a", 8, 2)), network.add(Fifo("b", 4, 2))
    with pytest.raises(ValueError, match="unique in the network, not 'a' again"):
        network.add(Fifo("a", 3, 2))
    with pytest.raises(ValueError, match="outputs of a must be one of"):
        network.connect(a, "x", b, "i")
    with pytest.raises(ValueError, match=r"must be equal, not 8 of a.o and 4 of b.i"):
        network.connect(a, "o", b, "i")
    with pytest.raises(ValueError, match="'c' is not in the network"):
        network.connect(Fifo("c", 8, 2), "o", None, "o")
    c = network.add(Fifo("c", 8, 2))
    with pytest.raises(ValueError, match="a must stand before a"):
        network.connect(a, "o", a, "i")
    with pytest.raises(ValueError, match="c must stand before a"):
        network.connect(c, "o", a, "i")
    network.connect(a, "o", c, "i")
    with pytest.raises(ValueError, match=r"a\.o -> c\.i exists already"):
        network.connect(a, "o", None, "o")
    with pytest.raises(ValueError, match="stream i of a must be linked"):
        network.check()


def test_ends_of_the_network():
    network = Network("n")
    a = network.add(Fifo("a", 8, 2))
    b = network.add(Fifo("b", 8, 2))
    for part in (a, b):
        network.connect(None, f"i_{part.name}", part, "i")
        network.connect(part, "o", None, f"o_{part.name}")
    with pytest.raises(ValueError, match="one input stream"):
        network.check()


def test_bad_parts_of_take():
    with pytest.raises(ValueError, match=r"parts of t must lie in 0\.\.8"):
        Take("t", 8, ((4, 9),))
    with pytest.raises(ValueError, match="parts of t"):
        Take("t", 8, ())
