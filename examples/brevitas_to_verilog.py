"""A Brevitas classifier, trained here in a few seconds, to Verilog and an hls4ml project, equal in each code.

Real scales, batch normalization, 4-bit weights and activations, on the digits that ship with the package.
Accuracy and sizes go to stderr: they depend on the processor's float arithmetic; the comparisons do not.
"""

import sys
import tempfile

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.quant import Int8ActPerTensorFloat
from torch import nn

import fxsim
import hls
import rtl
from fxsim.compare.torch import run
from fxsim.data import digits_samples


def model() -> nn.Module:
    """64-12-10."""
    return nn.Sequential(
        nn.Flatten(),
        qnn.QuantIdentity(bit_width=4),
        qnn.QuantLinear(64, 12, bias=False, weight_bit_width=4),
        nn.BatchNorm1d(12),
        qnn.QuantReLU(bit_width=4),
        qnn.QuantLinear(12, 10, bias=True, weight_bit_width=4, output_quant=Int8ActPerTensorFloat),
    )


def train(module: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int = 60) -> nn.Module:
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
            optimizer.step()
    return module.eval()


def main() -> bool:
    torch.manual_seed(0)
    x, y = digits_samples()
    module = train(model(), torch.from_numpy(x[:400]), torch.from_numpy(y[:400]))
    test = x[400:]
    rows = []

    graph = fxsim.load(module, example=test[:1])
    own, torchs = graph.codes(test), run(module, graph, test)
    wrong = sum(int((own[k] != torchs[k]).sum()) for k in torchs)
    rows.append(("every quantizer", "torch", sum(v.size for v in torchs.values()), wrong))
    accuracy = np.mean(graph.run(test).argmax(1) == y[400:])
    print(f"accuracy {100 * accuracy:.0f} %", file=sys.stderr)

    raw = graph.encoders[0].encode(test, "x")
    expected = graph.run_raw(raw)
    core = rtl.build(graph)
    bench = rtl.verify(core, raw[:60], raw=True, idle=0.25, backpressure=0.25)
    rows.append(("Verilog, outputs", "emulator", expected[:60].size, bench.mismatches))
    print(f"{core.adders} adders, latency {core.latency} cycles", file=sys.stderr)

    with tempfile.TemporaryDirectory() as folder:
        project = hls.export(graph, f"{folder}/hls")
        project.compile()
        simulated = project.predict_raw(raw)
    rows.append(("hls4ml, outputs", "emulator", expected.size, int((simulated != expected).sum())))

    for what, against, codes, differ in (("what", "against", "codes", "mismatches"), *rows):
        print(f"{what:22}{against:10}{codes:>6}{differ:>12}")
    return not sum(r[3] for r in rows)


if __name__ == "__main__":
    sys.exit(not main())
