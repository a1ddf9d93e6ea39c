"""The library: units with their references, certificates and examples, one idea a file."""
