"""SignalWire: calls, models, routes, resource kind, paging and hook of the carrier where numbers live."""
