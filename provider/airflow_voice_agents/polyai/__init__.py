"""PolyAI: calls, models, resource kinds, hook, operators, sensors and triggers."""
