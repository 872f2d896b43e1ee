"""SignalWire, the carrier: requests, models, routes, resource kinds, paging and hook."""
