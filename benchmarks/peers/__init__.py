"""What the comparisons with da4ml and alkaid share. Importing it limits every library to one thread."""

import os

# Processor time is compared, so no thread may help or spin beside. Set before NumPy and the peers load.
for _name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ[f"{_name}_NUM_THREADS"] = "1"
os.environ["DA_DEFAULT_THREADS"] = "1"
