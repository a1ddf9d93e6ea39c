"""A graph beside the framework its file comes from (`check`), and beside its unrounded self (`profile`)."""

from fxsim.compare.check import Check, Difference, check, random_reals
from fxsim.compare.places import Place, places
from fxsim.compare.profile import TensorProfile, profile

__all__ = ["Check", "Difference", "Place", "TensorProfile", "check", "places", "profile", "random_reals"]
