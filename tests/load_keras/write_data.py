"""Writes the shipped .keras files and what Keras computes for them: python tests/load_keras/write_data.py."""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras_models
import numpy as np

import fxsim
from fxsim.compare.keras import run

DATA = Path(__file__).parent / "data"
SAMPLES = 40


def compressed(source: Path, target: Path) -> None:
    """The same members, deflated, under one date: the same model gives nearly the same bytes."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), old.read(name), zipfile.ZIP_DEFLATED)


def main(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for family, build in keras_models.FAMILIES.items():
        rng = np.random.default_rng(list(family.encode()))
        model = build(rng)
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "m.keras"
            model.save(path)
            compressed(path, folder / f"{family}.keras")
        path = folder / f"{family}.keras"
        x = keras_models.samples(model, rng, SAMPLES)
        found = run(path, fxsim.load(path), x)
        arrays = {f"x__{i}": v for i, v in enumerate(x)}
        arrays |= {f"tensor__{k.replace('/', '--')}": v.astype(np.float32) for k, v in found.items()}
        np.savez_compressed(folder / f"{family}.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
