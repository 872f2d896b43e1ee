"""Operators for Omnia Voice."""
