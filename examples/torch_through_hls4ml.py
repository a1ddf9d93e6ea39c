"""A torch model through hls4ml with backend="fxsim": predict, compare types, write Verilog, simulate it.

python examples/torch_through_hls4ml.py
"""

import contextlib
import io
from pathlib import Path

import hls4ml
import numpy as np
import torch

from fxsim.data import digits_samples

BUILD = Path("build/torch_through_hls4ml")


def trained(x, y):
    """A small classifier of the digits, 4 x 4 pixels."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(16, 12), torch.nn.ReLU(), torch.nn.Linear(12, 10))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(300):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(torch.tensor(x)), torch.tensor(y)).backward()
        optimizer.step()
    return model.eval()


def converted(model, bits):
    """The ModelGraph of hls4ml, weights in `bits` bits; hls4ml's own messages are left out."""
    with contextlib.redirect_stdout(io.StringIO()):
        config = hls4ml.utils.config_from_pytorch_model(model, (16,), granularity="name", backend="fxsim")
        for name, layer in config["LayerName"].items():
            if name.startswith("_0") or name.startswith("_2"):
                layer["Precision"] |= {"weight": f"fixed<{bits},4,RND,SAT>", "bias": "fixed<8,4,RND,SAT>"}
            elif "weight" not in layer["Precision"]:
                layer["Precision"]["result"] = (
                    "ufixed<6,1,RND,SAT>" if "input" in name else "ufixed<8,5,RND,SAT>"
                )
        return hls4ml.converters.convert_from_pytorch_model(
            model, hls_config=config, backend="fxsim", output_dir=str(BUILD), project_name="digits"
        )


def main():
    images, labels = digits_samples()
    x = images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16).astype(np.float32)
    model = trained(x, labels)
    with torch.no_grad():
        reference = model(torch.tensor(x)).numpy().argmax(1)

    for bits in (8, 6):
        graph = converted(model, bits)
        graph.compile()  # no C++: the emulator is ready at once
        same = int((graph.predict(x).argmax(1) == reference).sum())
        print(
            f"weights of {bits} bits: more than 90 % of the digits as torch has them: {same > 0.9 * len(x)}"
        )

    graph.write()
    files = sorted(str(p.relative_to(BUILD)) for p in BUILD.rglob("*") if p.suffix in (".v", ".py", ".fxs"))
    print("written:", ", ".join(files))
    core = graph.core
    print("one sample per clock:", core.ii == 1, "multipliers:", core.verilog().count(" * "))
    found = graph.simulate(x[:100])
    print(f"Verilator: {found.vectors} vectors, {found.mismatches} mismatches")


if __name__ == "__main__":
    main()
