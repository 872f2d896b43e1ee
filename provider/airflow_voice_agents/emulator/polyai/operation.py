"""Operations of the PolyAI room: which of the two services answers, and what body it takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from airflow_voice_agents.emulator.polyai.bodies import Body
from airflow_voice_agents.emulator.request import Operation


class Service(StrEnum):
    """The services of the vendor; they refuse in different words.

    The first two stand behind the gateway of the Agents API, alerts and SIP trunks beside them, and the runtime
    service on a host of its own, which takes keys of its own.
    """

    PYTHON = "python"
    NODE = "node"
    ALERTS = "alerts"
    RUNTIME = "runtime"
    SIP = "sip"


@dataclass(frozen=True, slots=True)
class PolyAIOperation(Operation):
    """An operation of the Agents API.

    :param service: which service answers.
    :param body: what the operation takes; ``None`` ignores a body.
    :param declared: statuses whose body is declared as the error envelope although the service is
        the Node one.
    """

    service: Service
    body: Body | None = None
    declared: tuple[int, ...] = ()


python_operation = partial(PolyAIOperation, service=Service.PYTHON)
node_operation = partial(PolyAIOperation, service=Service.NODE)
alerts_operation = partial(PolyAIOperation, service=Service.ALERTS)
runtime_operation = partial(PolyAIOperation, service=Service.RUNTIME)
sip_operation = partial(PolyAIOperation, service=Service.SIP)
