"""Embedded local server that speaks the vendors' APIs; a development tool, bound to loopback."""
