"""What hls4ml gets wrong without a word: found in a converted model and its graph, told as warnings.

`check` finds the traps, `warn` raises one `TrapWarning` for each; the backend does both when it makes the
emulator. The integers are those of hls4ml's C simulation all the same.
"""

from hls.plugin.traps.report import Trap, TrapWarning, check, check_inputs, warn

__all__ = ["Trap", "TrapWarning", "check", "check_inputs", "warn"]
