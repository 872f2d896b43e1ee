"""Operators for PolyAI."""
