"""How far LiteRT's sets of kernels disagree, and that the loaded graph equals the reference set.

    python benchmarks/litert_kernels.py [--samples 500]

Over the models of MLPerf Tiny that the tests hold: random codes for both, and real windows for the second.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "load_tflite")]

import fxsim  # noqa: E402

DATA = ROOT / "tests" / "load_tflite" / "data"


def main() -> None:
    from ai_edge_litert.interpreter import OpResolverType
    from tflite_writer import codes_of, litert

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=500, help="random samples of each model")
    samples = parser.parse_args().samples
    others = OpResolverType.BUILTIN, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    for model in ("kws_ref_model", "str_ww_ref_model"):
        path = DATA / f"{model}.tflite"
        graph = fxsim.load(path)
        rng = np.random.default_rng(11)
        sets = {"random": rng.integers(-128, 128, (samples, *graph.inputs[0].type.shape))}
        if model == "str_ww_ref_model":
            windows = np.load(DATA / "sww_windows.npz")["x"]
            sets["windows"] = graph.encoders[0].encode(windows, "x")
        for label, raw in sets.items():
            ours, reference = codes_of(graph, raw), litert(path, raw)
            wrong = sum(int((ours[k] != reference[k][:, 0]).sum()) for k in ours)
            print(
                f"{model}, {label}: {wrong} of {sum(v.size for v in ours.values())} codes of the graph differ"
            )
            inner = [k for k in ours if k not in (*graph.output_names, graph.inputs[0].name)]
            out = graph.output_names[0]
            for resolver in others:
                theirs = litert(path, raw, resolver=resolver)
                far = [np.abs(theirs[k].astype(int) - reference[k]) for k in inner]
                count, size = sum(int((d > 0).sum()) for d in far), sum(d.size for d in far)
                top = int((theirs[out].argmax(-1) != reference[out].argmax(-1)).sum())
                print(
                    f"  {resolver.name}: {count} of {size} inner codes ({100 * count / size:.2f} %), at most "
                    f"{max(int(d.max()) for d in far)}; top class in {top} of {len(raw)}"
                )


if __name__ == "__main__":
    main()
