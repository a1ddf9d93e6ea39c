"""Write the shipped references: qonnx's integer codes and outputs of the digits models, all 500 images.

Run it from the repository root after a change of the models: python tests/tools/make_digits_reference.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "load")]

import qonnx_oracle  # noqa: E402

from fxsim.data import DIGITS, FOLDER, digits_model, digits_samples  # noqa: E402
from fxsim.files import atomic_path  # noqa: E402


def main() -> None:
    x, _ = digits_samples()
    for name in DIGITS:
        values = qonnx_oracle.tensors(digits_model(name), x)
        codes = qonnx_oracle.integer_codes(digits_model(name), values)
        small = {k: v.astype(np.uint8) for k, v in codes.items()}
        assert all(np.array_equal(small[k], v) for k, v in codes.items())
        path = FOLDER / f"{name}.reference.npz"
        with atomic_path(path) as temporary, open(temporary, "wb") as f:
            np.savez_compressed(f, out=values["global_out"].astype(np.float32), **small)
        print(f"{path.relative_to(ROOT)}: {', '.join(f'{k} {v.shape}' for k, v in small.items())}")


if __name__ == "__main__":
    main()
