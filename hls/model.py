"""The hls4ml ModelGraph of a plan: layer dictionaries in, types verified, generated headers written too."""

from __future__ import annotations

import ctypes
import re
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from hls4ml.backends import get_backend
from hls4ml.model.graph import ModelGraph

from fxsim.cache import digest
from hls.bridge import raw_entry
from hls.builds import built
from hls.compile import headers
from hls.describe import described, precision
from hls.layers import flat, function_name, header, register
from hls.plan import Plan
from hls.target import STRATEGIES
from hls.verify import verify
from hls.wiring import wires

SETTINGS = "hls4ml_config.yml"
WIDE = 256
"""Wider lanes, or points further off, may need types beyond ap_fixed's default limit of 1,024 bits."""


class FxsimModel(ModelGraph):
    """hls4ml's ModelGraph whose project also gets `fx_files` {path in the project: text}, at every write.

    Headers of generated layers belong to this project alone, which is why they are not registered as sources
    of the backend: it would copy them into every project of the process.
    """

    fx_files: Mapping[str, str] = {}
    fx_bridge: str = ""
    fx_wide: bool = False

    def write(self) -> None:
        """The hls4ml project with the generated headers and the raw entry, under a stamp of its content."""
        with redirect_stdout(StringIO()):  # hls4ml tells what it copies
            super().write()
        folder = Path(self.config.get_output_dir())
        for path, text in self.fx_files.items():
            (folder / path).write_text(text)
        bridge = folder / f"{self.config.get_project_name()}_bridge.cpp"
        bridge.write_text(bridge.read_text() + self.fx_bridge)
        if self.config.config["Backend"] == "Catapult":
            _portable(folder, bridge)
        if self.fx_wide:
            build = folder / "build_lib.sh"
            build.write_text(build.read_text().replace("-fPIC", "-fPIC -DAP_INT_MAX_W=32768"))
            defines = folder / "firmware" / "ap_types" / "ap_common.h"
            defines.write_text(
                defines.read_text().replace("#define AP_INT_MAX_W 1024", "#define AP_INT_MAX_W 32768")
            )
        self._stamp(folder)

    def _stamp(self, folder: Path) -> None:
        """The same project gets the same stamp, where hls4ml draws a random one."""
        firmware = sorted(p for p in (folder / "firmware").rglob("*") if p.suffix in (".cpp", ".h", ".txt"))
        # The letters keep YAML from reading digits as a number, which it would then write in quotes.
        stamp = "fx" + digest(*(t for p in firmware for t in (p.name, p.read_text())))[:8]
        for name, line in (("build_lib.sh", r"^(LIB_STAMP=).*$"), (SETTINGS, r"^(Stamp: ).*$")):
            text, found = re.subn(line, rf"\g<1>{stamp}", (folder / name).read_text(), flags=re.MULTILINE)
            if found != 1:
                raise RuntimeError(f"hls4ml's {name} has no stamp; this version of hls4ml is not supported")
            (folder / name).write_text(text)
        self.config.config["Stamp"] = stamp

    def _compile(self) -> None:
        """Load the compiled project; RuntimeError where its folder holds another project by now."""
        folder, stamp = Path(self.config.get_output_dir()), self.config.config["Stamp"]
        script = folder / "build_lib.sh"
        if not script.exists() or f"LIB_STAMP={stamp}\n" not in script.read_text():
            raise RuntimeError(f"folder {folder} does not hold this project any more; export it again")
        self._top_function_lib = ctypes.CDLL(str(built(folder, self.config.get_project_name())))


def _portable(folder: Path, bridge: Path) -> None:
    """A Catapult project whose library finds its weights beside the script that builds it, as Vitis' does,
    and not in the folder that it was first written to."""
    text, found = re.subn(r'(s_weights_dir = )".*";', r"\1WEIGHTS_DIR;", bridge.read_text())
    script = folder / "build_lib.sh"
    lines, placed = re.subn(
        r"^(LIB_STAMP=.*)$",
        r'\1\nBASEDIR="$(cd "$(dirname "$0")" && pwd)"\nWEIGHTS_DIR="\\"${BASEDIR}/firmware/weights\\""',
        script.read_text(),
        flags=re.MULTILINE,
    )
    if found != 1 or placed != 1:
        raise RuntimeError("hls4ml's Catapult bridge has no weights folder; this version is not supported")
    bridge.write_text(text)
    script.write_text(lines.replace("${INCFLAGS} -c", '${INCFLAGS} -D WEIGHTS_DIR="${WEIGHTS_DIR}" -c'))


def model_graph(plan: Plan, project: str, folder: Path) -> FxsimModel:
    """The ModelGraph of the plan; RuntimeError where hls4ml's passes changed a layer or a type."""
    target, wired = plan.target, wires(plan)
    register(target.backend)
    options = {} if target.part is None else {"part": target.part}
    config = get_backend(target.backend).create_initial_config(
        io_type=target.io_type, clock_period=target.clock_period, **options
    )
    config.update(OutputDir=str(folder), ProjectName=project, Backend=target.backend)
    layers: list[dict[str, Any]] = []
    precisions: dict[str, dict[str, str]] = {}
    for name, node in zip(plan.inputs, plan.nodes, strict=True):
        layers.append({"class_name": "InputLayer", "name": name, "input_shape": flat(node.type.shape)})
        precisions[name] = {"result": precision(plan.formats[node])}
    for layer, inputs, outputs in zip(plan.layers, wired.inputs, wired.outputs, strict=True):
        description, precisions[layer.name] = described(layer, inputs, outputs)
        layers.append(description)
    default = STRATEGIES[target.backend][0]
    config["HLSConfig"] = {
        "Model": {"Precision": {"default": "fixed<16,6>"}, "ReuseFactor": 1, "Strategy": default},
        "LayerName": {
            n: {"Precision": p, "ReuseFactor": factor, "Strategy": strategy}
            for n, p in precisions.items()
            for strategy, factor in [plan.settings.get(n, (default, 1))]
        },
    }
    with redirect_stdout(StringIO()), warnings.catch_warnings():  # what it says of changes is checked below
        warnings.simplefilter("ignore")
        model = FxsimModel.from_layer_list(
            config, layers, inputs=list(plan.inputs), outputs=[e.name for e in plan.ends]
        )
    verify(model, plan, wired)
    texts = headers(target.types)
    for layer, outputs in zip(plan.layers, wired.outputs, strict=True):
        if layer.kind == "custom":
            texts[f"{function_name(layer)}.h"] = header(layer, [k for _, k in outputs], target.stream)
    model.fx_files = {f"firmware/nnet_utils/{name}": text for name, text in texts.items()}
    model.fx_bridge = raw_entry(model, plan, project)
    wide = any(max(n.type.max_width, abs(n.type.frac)) > WIDE for n in plan.values)
    model.fx_wide = wide and target.types == "ap"
    return model
