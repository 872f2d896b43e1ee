"""The SignalWire room: phone numbers of a carrier, as its relay REST API shows them."""
