"""Every simulation of a core: pause patterns, the native library, the cocotb bench, the scoreboard of both."""
