"""Omnia Voice's resource kind: to which agent a phone number is assigned."""
