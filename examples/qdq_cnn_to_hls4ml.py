"""A convolutional network with QuantizeLinear nodes to hls4ml projects, equal in every code of 500 images.

hls4ml has no reader for QuantizeLinear. Every layer here is one of its own, with types that lose nothing.
The C simulation needs g++ alone; the vendor's tool builds the project by the scripts in its folder.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import fxsim
import hls
from fxsim.data import digits_qdq, digits_samples


def main() -> bool:
    images, _ = digits_samples()
    graph = fxsim.load(digits_qdq()).with_name("digits")
    want = graph.run(images)
    equal = True
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'back end':9} {'interface':12} {'layers':7} {'generated':10} {'codes':6} differ")
        for backend, io_type in (
            ("Vitis", "io_stream"),
            ("Quartus", "io_parallel"),
            ("Quartus", "io_stream"),
        ):
            project = hls.export(graph, Path(folder) / f"{backend}_{io_type}", backend, io_type=io_type)
            rows = project.layers()
            generated = sum(r["layer"] == "generated" for r in rows)
            wrong = int(np.sum(project.predict(images) != want))
            print(f"{backend:9} {io_type:12} {len(rows):<7} {generated:<10} {want.size:<6} {wrong}")
            equal &= wrong == 0
        print()
        print("\n".join(f"{r['name']:36} {r['layer']}" for r in rows))
    return equal


if __name__ == "__main__":
    sys.exit(not main())
