"""PolyAI's resource kinds: config pages, connectors, phone numbers."""
