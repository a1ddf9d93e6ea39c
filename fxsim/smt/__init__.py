"""The SMT reading: a graph as a z3 specification, and proofs of ranges and of equality."""

from fxsim.smt.algebra import Algebra, Bits, Integers, Word
from fxsim.smt.proof import Proof, Specification, Status, prove_equal, prove_range, specification
from fxsim.smt.rules import smt_rules

__all__ = [
    "Algebra", "Bits", "Integers", "Proof", "Specification", "Status", "Word",
    "prove_equal", "prove_range", "smt_rules", "specification",
]  # fmt: skip
