"""What `benchmarks/shift_add.py` and `benchmarks/mlp.py` share: neutral graphs, the tools, the matrices."""
