"""Valid/ready streams: the handshake of a pipeline, and the parts of networks of streams."""

from __future__ import annotations

from rtl.stream.handshake import handshake, ports
from rtl.stream.network import Link, Network
from rtl.stream.part import Part, Stream

__all__ = ["Link", "Network", "Part", "Stream", "handshake", "ports"]
