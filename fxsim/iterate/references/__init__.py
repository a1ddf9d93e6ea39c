"""Exact references for iterations: linear systems, elementary functions, standard graphs and grids."""
