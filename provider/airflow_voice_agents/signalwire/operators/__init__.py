"""Operators for SignalWire."""
