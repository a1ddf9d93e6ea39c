"""Cut data/hls4ml_mlp.npz from the full golden file: ``python slice_golden.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"
SAMPLES = 300


def main(folder: Path) -> None:
    with np.load(folder / "hls4ml_mlp.npz") as full:
        out = {
            "x": full["x"][:SAMPLES],
            "y_int": full["y_int"][:SAMPLES].astype(np.int32),
            "types_json": full["types_json"],
        }
        out |= {k: full[k].astype(np.int16) for k in full if k.endswith(("weight_int", "bias_int"))}
    DATA.mkdir(exist_ok=True)
    np.savez_compressed(DATA / "hls4ml_mlp.npz", **out)
    print((DATA / "hls4ml_mlp.npz").stat().st_size, "bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
