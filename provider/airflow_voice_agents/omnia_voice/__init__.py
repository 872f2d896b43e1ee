"""Omnia Voice: calls, models, paging, resource kind and hook."""
