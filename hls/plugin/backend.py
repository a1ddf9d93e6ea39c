"""The backend: Vitis' own passes up to the finished types, then this package in place of generated C++."""

from __future__ import annotations

from typing import Any

from hls4ml.backends import VitisBackend, VivadoBackend, get_backend
from hls4ml.model.flow import get_flow, register_flow
from hls4ml.model.optimizer import model_optimizer

# `hls.plugin.model` is imported where it is used: hls4ml loads this file before its own ModelGraph exists.

# These generate C++, or drop the weights behind it; the kernels of distributed arithmetic are read from the
# weights, and a quantizer before one stays a layer, which computes the same.
CODE = (
    "vivado:distributed_arithmetic_codegen",
    "vivado:distributed_arithmetic_einsum_codegen",
    "vivado:fuse_quantizer_into_d_a_layers",
)
SHARED = ("optimize", "vivado:init_layers", "vitis:validation", "vivado:streaming", "vivado:quantization")


class FxsimBackend(VitisBackend):
    """`backend="fxsim"`. Layers, attributes, types and passes are those of the backend Vitis, whose C
    simulation the results equal; the passes run with Vitis in place, since some of them ask for its name."""

    def __init__(self) -> None:
        super(VivadoBackend, self).__init__(name="fxsim")
        self._register_flows()

    def _register_flows(self) -> None:
        optimizers = [p for p in get_flow("vivado:optimize").optimizers if p not in CODE]
        enter = register_flow("enter", ["fxsim:become_vitis"], backend=self.name)
        types = register_flow("types", optimizers, requires=["vivado:init_layers"], backend=self.name)
        leave = register_flow("leave", ["fxsim:become_fxsim"], backend=self.name)
        self._default_flow = register_flow(
            "ip", None, requires=[enter, *SHARED, types, leave], backend=self.name
        )
        self._writer_flow = register_flow(
            "write", ["make_stamp", "fxsim:write_hls"], requires=[self._default_flow], backend=self.name
        )

    @model_optimizer()
    def become_vitis(self, model: Any) -> bool:
        """The passes run as for Vitis."""
        model.config.config = {**model.config.config, "Backend": "Vitis"}
        model.config.backend = get_backend("Vitis")
        return True

    @model_optimizer()
    def become_fxsim(self, model: Any) -> bool:
        """Finished: the model is this backend's again."""
        model.config.config["Backend"] = self.name
        model.config.backend = self
        from hls.plugin.model import adopt

        adopt(model)
        return True

    @model_optimizer()
    def write_hls(self, model: Any) -> bool:
        """Write the project."""
        self.writer.write_hls(model)
        return True

    def create_initial_config(
        self,
        part: str | None = None,
        clock_period: float | None = None,
        clock_uncertainty: str | None = None,
        io_type: str = "io_parallel",
        max_depth_per_stage: float | None = 4,
        effort: float | str = "fast",
        **_: Any,
    ) -> dict[str, Any]:
        """The configuration of a new project.

        part                 "ecp5", "ice40" or "xc7": what `build` synthesises for (default ecp5)
        clock_period         ns; with a part that has a delay model (ecp5, ice40) every stage keeps to it
        max_depth_per_stage  adders between registers, where no clock is given
        effort               of the search for few adders, as `rtl.build` takes it
        io_type              io_parallel or io_stream: hls4ml's arithmetic differs in few places. The hardware
                             is the same pipeline, one sample per clock
        """
        return {
            "Part": part, "ClockPeriod": clock_period, "ClockUncertainty": clock_uncertainty,
            "IOType": io_type or "io_parallel", "MaxDepthPerStage": max_depth_per_stage, "Effort": effort,
            "HLSConfig": {},
            "WriterConfig": {
                "Namespace": None, "WriteWeightsTxt": True, "WriteTar": False, "TBOutputStream": "both",
            },
        }  # fmt: skip

    def create_layer_class(self, layer_class: type) -> type:
        """Vitis' class of the layer, with its attributes."""
        return get_backend("Vitis").create_layer_class(layer_class)

    def compile(self, model: Any) -> None:
        """Make the emulator. Nothing is compiled; None makes hls4ml load the running program, which it never
        calls."""
        from hls.plugin.model import emulator

        emulator(model)

    def predict(self, model: Any, x: Any) -> Any:
        """As `ModelGraph.predict` of the Vitis backend, bit for bit; see `hls.plugin.model.predict`."""
        from hls.plugin.model import predict

        return predict(model, x)

    def build(self, model: Any, **options: Any) -> dict[str, Any]:
        """LUTs, registers and clock frequency by open tools; see `hls.plugin.synthesis.build`."""
        from hls.plugin.synthesis import build

        return build(model, **options)
