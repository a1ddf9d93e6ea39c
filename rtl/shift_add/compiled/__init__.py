"""The search compiled by Numba: state, moves, greedy pass, annealing; `rtl.shift_add.search` uses it."""
