"""Slopes of a graph: exact interval Jacobians and evaluation errors, which certificates are made of."""

from fxsim.iterate.slopes.reading import Slopes, slope_rules, slopes

__all__ = ["Slopes", "slope_rules", "slopes"]
