"""Emergency addresses: registrations and removals that end some reads after they were asked for."""

from __future__ import annotations

from airflow_voice_agents.emulator.request import EmulatorRequest, Operation, Record, Reply
from airflow_voice_agents.emulator.signalwire.bodies import read_object
from airflow_voice_agents.emulator.signalwire.errors import refused
from airflow_voice_agents.emulator.signalwire.fields import E911_READS
from airflow_voice_agents.emulator.signalwire.seed import is_uuid
from airflow_voice_agents.emulator.signalwire.store import SignalWireStore

_ADDRESS = "/api/relay/rest/phone_numbers/{id}/e911_address"
_UNDER_WAY = ("pending", "pending_removal")


def assign_address(store: SignalWireStore, exchange: EmulatorRequest) -> Reply:
    """Begin to register an address."""
    record, address = store.require(exchange), read_object(exchange).get("e911_address_id")
    if address is None:
        raise refused(("missing_required_parameter", "e911_address_id is required"))
    if not is_uuid(address) or address.lower() not in store.project(exchange)["e911_addresses"]:
        raise refused(("invalid_parameter", "e911_address_id is not an address of this project"))
    return _begin(store, exchange, record | {"e911_address_id": address.lower(), "e911_status": "pending"})


def remove_address(store: SignalWireStore, exchange: EmulatorRequest) -> Reply:
    """Begin to remove the address."""
    record = store.require(exchange)
    if record["e911_address_id"] is None:
        raise refused(("invalid_parameter", "The phone number has no E911 address"))
    return _begin(store, exchange, record | {"e911_status": "pending_removal"})


def observed(store: SignalWireStore, exchange: EmulatorRequest, record: Record) -> Record:
    """A record as a read finds it: reads are the time that registrations and removals take."""
    status, outcome = record["e911_status"], store.switches.signalwire_e911
    if status not in _UNDER_WAY or outcome == "pending":
        return record
    reads = record[E911_READS] + 1
    if reads <= store.switches.signalwire_e911_reads:
        store.keep(exchange.agent or "", record | {E911_READS: reads})
        return record
    ended: Record = {"e911_status": outcome}
    if status == "pending_removal":
        ended = {"e911_status": "unregistered", "e911_address_id": None}
    return store.put(exchange.agent or "", record | ended | {E911_READS: 0})


def _begin(store: SignalWireStore, exchange: EmulatorRequest, record: Record) -> Reply:
    return Reply(200, store.show(store.put(exchange.agent or "", record | {E911_READS: 0})))


OPERATIONS = (
    Operation("assign E911 address", "POST", _ADDRESS, assign_address, writes=True),
    Operation("remove E911 address", "DELETE", _ADDRESS, remove_address, writes=True),
)
