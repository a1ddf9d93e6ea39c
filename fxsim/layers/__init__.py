"""Functions that build graph: every layer and unit is a block of ordinary ops, exact in every reading."""

__all__: list[str] = []
