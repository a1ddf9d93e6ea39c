"""Graphs as values: validation, equality by content, text, digests that do not change."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

import fxsim
from fxsim import SQ, UQ, Graph, TensorType, ops
from fxsim.boundary import Affine, FormatEncoder
from fxsim.graph import Input, Value, op_text
from fxsim.integers import IntArray


def simple(weights: object = (1, 2), name: str = "net") -> Graph:
    return fxsim.trace(lambda x: (x * np.array(weights)).sum() + 1, SQ(4, 0), shape=(2,), name=name)


def parts(g: Graph, **changes: object) -> dict:
    return {f.name: getattr(g, f.name) for f in dataclasses.fields(g)} | changes


def test_equality_is_of_content() -> None:
    assert simple() == simple()
    assert hash(simple()) == hash(simple())
    assert simple() != simple((1, 3))
    assert simple() == simple(name="other")
    assert simple() != 3
    renamed = Graph(**parts(simple(), output_names=("z",)))
    assert renamed != simple()
    assert simple().with_name("other").name == "other"
    assert len({simple(), simple(), simple((1, 3))}) == 2


def test_the_digest_is_stable() -> None:
    """Caches of built hardware hang on it: a change here rebuilds everything."""
    assert fxsim.trace(lambda x: x, UQ(1, 0)).digest() == fxsim.trace(lambda x: x, UQ(1, 0)).digest()
    assert len(simple().digest()) == 32
    assert op_text(ops.Cast.to(SQ(4, 2))).startswith("Cast(frac=")
    assert op_text(ops.Shift(3)) == "Shift(bits=3)"
    array = IntArray([1, 2])
    assert array.digest.hex() in op_text(ops.Const(array, 1))


def test_graphs_print() -> None:
    g = simple()
    assert repr(g) == "<Graph net: 6 values, 1 in, 1 out>"
    assert str(g) == (
        "graph net\n"
        "  %0 = x : 2 s4 frac 0 raw -8..7\n"
        "  %1 = Const(raw=IntArray([1, 2]), frac=0) : 2 u2 frac 0 raw 1..2\n"
        "  %2 = Mul() %0 %1 : 2 s5 frac 0 raw -16..14\n"
        "  %3 = Sum(axes=(0,)) %2 : scalar s6 frac 0 raw -24..21\n"
        "  %4 = Const(raw=1, frac=0) : scalar u1 frac 0 raw 1..1\n"
        "  %5 = Add() %3 %4 : scalar s6 frac 0 raw -23..22\n"
        "  return y=%5"
    )
    long = fxsim.trace(lambda x: x.cast(fxsim.Format(8, 4)), SQ(4, 6))
    assert all(len(line) < 200 for line in str(long).splitlines())


def test_graphs_do_not_change() -> None:
    g = simple()
    with pytest.raises(dataclasses.FrozenInstanceError):
        g.name = "other"
    with pytest.raises(dataclasses.FrozenInstanceError):
        g.values[0].type = None


def test_construction_is_checked() -> None:
    g = simple()
    x = g.inputs[0]
    loose = Input(x.type, "loose")
    late = Value(x.type, ops.Neg(), (g.values[-1],))
    bad: list[tuple[dict, str]] = [
        ({"encoders": ()}, "encoders must be one per input, not 0 for 1 inputs"),
        ({"output_names": ("a", "b")}, "outputs, output_names and output_affines must have one length"),
        ({"output_affines": (Affine(), Affine())}, "must have one length"),
        ({"values": g.values[1:]}, "values must begin with the inputs"),
        ({"values": (*g.values, loose)}, "input 'loose' is not among the graph's inputs"),
        ({"values": (x, late, *g.values[1:])}, "an operand of Neg comes after it"),
        ({"outputs": (late,)}, "an output is not a value of the graph"),
    ]
    for changes, message in bad:
        with pytest.raises(ValueError, match=message):
            Graph(**parts(g, **changes))


def test_empty_batches_and_single_samples() -> None:
    g = simple()
    assert g.run_raw(np.zeros((0, 2), int)).shape == (0,)
    assert g.run_raw([3, 4]) == 12
    assert g.run_raw([[3, 4]]).tolist() == [12]
    assert g.run([3.0, 4.0]) == 12.0
    assert g.run_raw(x=[[1, 1], [0, 0]]).tolist() == [4, 1]


def test_constants_alone_are_a_graph() -> None:
    g = fxsim.trace(lambda x: (x * 0 + 7, x), UQ(3, 0), shape=(2,))
    assert g.outputs[0].type.is_constant.all()
    a, b = g.run_raw([[1, 2], [3, 4]])
    assert a.tolist() == [[7, 7], [7, 7]]
    assert b.tolist() == [[1, 2], [3, 4]]


def test_several_outputs_may_be_one_value() -> None:
    g = fxsim.trace(lambda x: (x, x), UQ(3, 0))
    assert [v.tolist() for v in g.run_raw([1, 2])] == [[1, 2], [1, 2]]


def test_types_pickle_and_compare_by_content() -> None:
    t = TensorType((2,), 3, np.array([0, -4]), np.array([7, 4]), np.array([0, 2]))
    assert pickle.loads(pickle.dumps(t)) == t
    assert hash(pickle.loads(pickle.dumps(t))) == hash(t)
    assert t != TensorType((2,), 3, np.array([0, -4]), np.array([7, 4]))
    assert t != "t"
    array = IntArray([1 << 80])
    assert pickle.loads(pickle.dumps(array)) == array


def test_an_input_brings_its_encoder() -> None:
    g = simple()
    assert g.encoders == (FormatEncoder(SQ(4, 0)),)


def test_how_the_host_encodes_is_part_of_a_graph() -> None:
    truncating, rounding = (fxsim.trace(lambda x: x, SQ(1, 3, rounding=r)) for r in ("TRN", "RND"))
    assert truncating.inputs[0].type == rounding.inputs[0].type
    assert truncating != rounding
    assert (truncating.run(0.1), rounding.run(0.1)) == (0.0, 0.125)


def test_an_output_is_not_exposed_again() -> None:
    named = fxsim.trace(lambda x: x.named("y"), SQ(1, 3))
    with pytest.raises(ValueError, match="'y' is an output already"):
        named.exposing("y")
