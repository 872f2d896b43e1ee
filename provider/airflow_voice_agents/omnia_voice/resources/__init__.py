"""Omnia Voice's resource kinds: assignments, settings and presence of phone numbers."""
