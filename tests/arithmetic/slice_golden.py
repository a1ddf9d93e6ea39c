"""Cut the slices in data/ from full golden files: ``python slice_golden.py FOLDER``.

Every (op, rounding, overflow, N) keeps the configuration, and in it the rows, whose outcome differs most from
truncating and wrapping: those tell the modes apart.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from golden_vectors import DATA, Outcomes, compute, read

from fxsim.formats import Overflow, Rounding

ROWS = {"CAST": 16, "MAC": 2}
OTHER_ROWS = 8


def main(folder: Path) -> None:
    for name in ("ap_fixed.npz", "ac_fixed.npz"):
        with np.load(folder / name) as data:
            full = dict(data)
        best: dict[tuple[int, ...], tuple[tuple[int, int], int, list[int]]] = {}
        fields = full["config_fields"].tolist()
        for index, (config, vectors) in enumerate(zip(full["config"], read(folder / name), strict=True)):
            key = tuple(int(config[fields.index(f)]) for f in ("op", "Q", "O", "N"))
            rows, told = _telling_rows(vectors)
            score = (told, vectors.result.width)
            if key not in best or score > best[key][0]:
                best[key] = (score, index, rows)
        np.savez_compressed(DATA / name, **_cut(full, [(i, rows) for _, i, rows in best.values()]))
        print(name, len(best), "configurations", (DATA / name).stat().st_size, "bytes")


def _telling_rows(v: Outcomes) -> tuple[list[int], int]:
    plain = v.result.replace(rounding=Rounding.TRN, overflow=Overflow.WRAP, saturation_bits=0)
    differs = compute(v, plain) != v.y
    count = ROWS.get(v.op, OTHER_ROWS)
    order = np.argsort(~differs, kind="stable")
    # Mostly rows that differ; the last quarter from those that do not.
    rows = [*order[: count - count // 4], *order[len(order) - count // 4 :]]
    return sorted({int(r) for r in rows}), min(int(differs.sum()), count)


def _cut(full: dict[str, np.ndarray], chosen: list[tuple[int, list[int]]]) -> dict[str, np.ndarray]:
    fields = full["config_fields"].tolist()
    start, length, taps = (fields.index(f) for f in ("start", "n", "K"))
    mac = full["op_names"].tolist().index("MAC") if "MAC" in full["op_names"] else -1
    configs, picked, at = [], [], 0
    for index, rows in chosen:
        config = full["config"][index].copy()
        block = int(config[taps]) if config[0] == mac else 1
        picked += [int(config[start]) + r * block + k for r in rows for k in range(block)]
        config[start], config[length] = at, len(rows)
        at += len(rows) * block
        configs.append(config)
    out = {k: full[k] for k in full if k.endswith(("_names", "_fields"))}
    return {**out, "config": np.array(configs), **{k: full[k][picked] for k in "abxy"}}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
