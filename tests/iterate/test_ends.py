"""Ends: radii from a unit's own arithmetic reach the certificate, for the unit that they were proven of."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fxsim import SQ
from fxsim.iterate import count, unchanged, unit, zoo
from fxsim.iterate.ends import Ends, ends
from fxsim.iterate.zoo import newton
from fxsim.iterate.zoo.goldschmidt import goldschmidt

FORMAT = SQ(2, 6, overflow="SAT")


def halving(**options):
    return unit(lambda x: x >> 1, {"x": (FORMAT, (2,))}, **{"stop": count(9), "cap": 9, **options})


def test_a_radius_reaches_the_certificate():
    made = ends(halving(), {count(9): (Fraction(1), Fraction(3, 2))}, "for starts in the format")
    known = made.certify()
    assert known.radius_ulps == (1, Fraction(3, 2)) and known.terminates_by == "count"
    assert "for starts in the format" in known.notes
    assert halving().certify().radius_ulps != known.radius_ulps and made != halving()


def test_the_worst_of_several_stops_counts():
    made = halving(stop=(unchanged(), count(9)))
    made = ends(made, {count(9): (Fraction(1, 4),) * 2})
    assert made.certify().radius_ulps == (2, 2)  # that of a sweep that changes nothing: u / (1 - 1/2)


def test_a_proof_of_another_unit_is_refused():
    (proof,) = ends(halving(), {count(9): (Fraction(1),) * 2}).proofs
    with pytest.raises(ValueError, match="a proof of ends must be of the unit's own loop"):
        unit(lambda x: x >> 2, {"x": (FORMAT, (2,))}, stop=count(9), cap=9, proofs=(proof,)).certify()


def test_radii_must_fit_the_unit():
    with pytest.raises(ValueError, match=r"radii must map stops of 'unit' to 2 numbers, not count\(9\) to 1"):
        ends(halving(), {count(9): (Fraction(1),)})
    with pytest.raises(ValueError, match="radii must map stops"):
        ends(halving(), {count(8): (Fraction(1),) * 2})


@pytest.mark.parametrize("name", ["newton", "goldschmidt", "cordic", "scan"])
def test_arithmetic_units_end_inside_their_radius(name):
    e = zoo.example(name)
    known = e.unit.certify()
    found = e.errors(e.solve())
    radius = np.array(known.of(e.unit.state[0]), object).reshape(found.shape[1:])
    assert any(isinstance(p, Ends) for p in e.unit.proofs) and np.all(found <= radius)


def test_radii_are_those_of_the_formulas():
    assert newton.reciprocal(12, 4).certify().radius_ulps == (newton.reciprocal_bound(12, 4, 2),)
    assert newton.rsqrt(12, 5, lanes=2).certify().radius_ulps == (newton.rsqrt_bound(12, 5, 2),) * 2
    n, q = goldschmidt(12).certify().radius_ulps
    assert q < 1 < n < 6
