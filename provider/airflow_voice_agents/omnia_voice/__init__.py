"""Omnia Voice: requests, models, paging, resource kinds and hook."""
