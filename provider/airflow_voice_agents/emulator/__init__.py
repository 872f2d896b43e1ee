"""Embedded local server that speaks the vendors' APIs; a development tool, bound to loopback.

One address serves all of them, because their paths do not meet:

======================== ==================================== ==========================================
API                      below the server's address           credentials in the shipped seed
======================== ==================================== ==========================================
PolyAI Agents            ``/v1``                              header ``X-API-KEY: demo-key-uk``
SignalWire phone numbers ``/api/relay/rest/phone_numbers``    Basic, project id
                                                              ``2f6c1f0e-8a6b-4d0e-9c34-5b1d7e9a0c21``,
                                                              token ``demo-token-hotels``
Omnia Voice              ``/api/v1``                          header ``X-API-Key: demo-omnia-key``
======================== ==================================== ==========================================

Each API is one package here, a room: ``seed`` says what its section of a seed holds, ``store`` is its
state, ``room`` checks credentials and words refusals, the other modules answer operations. What the
vendors leave open is a switch, see ``switches``.
"""
