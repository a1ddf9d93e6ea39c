"""Every simulation of a core: the native library and the cocotb bench, their pauses, their scoreboard."""
