"""SignalWire's resource kinds: the call routing of phone numbers."""
