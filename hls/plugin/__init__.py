"""hls4ml with `backend="fxsim"`: its front ends and configuration, our emulator, Verilog and reports.

hls4ml finds `register` by the entry point group `hls4ml.backends`; nothing has to be imported.
"""

from __future__ import annotations

from collections.abc import Callable

NAME = "fxsim"
"""The backend's name in hls4ml."""


def register(register_backend: Callable[..., None], register_writer: Callable[..., None]) -> None:
    """What hls4ml calls while it starts. The writer comes first, since the backend asks for it."""
    from hls.plugin.backend import FxsimBackend
    from hls.plugin.writer import FxsimWriter

    register_writer(NAME, FxsimWriter)
    register_backend(NAME, FxsimBackend)
