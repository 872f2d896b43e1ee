"""PolyAI: calls, models, resource kinds, hook, operators, sensors and triggers."""

NEVER_PROMOTE = ("**.mock_*", "**.use_mock_*", "**.use_dev_*")
"""Selectors of test switches: by default each environment keeps its own."""
