"""Actions of SignalWire: route, restore, buy and release numbers, and assign emergency addresses."""
