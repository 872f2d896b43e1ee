"""Sensors for resources: pages, deployments, connectors, numbers, drift."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_voice_agents.polyai.sensors.base import PolyAISensor

if TYPE_CHECKING:
    from airflow_voice_agents.bases.types import PhoneNumbers, Templated
    from airflow_voice_agents.polyai.conditions import (
        ConfigCondition,
        ConnectorCondition,
        DeploymentCondition,
        NumbersCondition,
    )
    from airflow_voice_agents.polyai.drift_request import DriftWait
    from airflow_voice_agents.polyai.types import (
        ConnectorChanges,
        DriftState,
        EnvironmentArgument,
        EnvironmentName,
        PolyAISensorArguments,
        PromotionTarget,
        Spec,
    )


class PolyAIConfigSensor(PolyAISensor):
    """Wait until a config page meets a condition. Pass exactly one of ``values``, ``digest`` and ``equals``.

    The sensor tolerates temporary errors of the platform. An error that waiting cannot fix ends the wait at
    once.

    Vendor operation: list real-time configs.

    :param agent_id: the agent. (templated)
    :param environment: ``sandbox``, ``pre-release`` or ``live``. (templated)
    :param values: keys and values that the page must have; only the given members of an object are compared.
        Neither the triggerer nor a log gets them. (templated)
    :param digest: digest of the page, such as ``after`` in a report. (templated)
    :param equals: mapping of ``agent_id`` and ``environment``: the page to compare with. (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises SensorError: if waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: after ``timeout`` seconds.
    :returns: ``agent_id``, ``environment`` and ``digest`` of the page.
    """

    trigger_path = "airflow_voice_agents.polyai.triggers:PolyAIConfigTrigger"
    template_fields: Sequence[str] = (
        *PolyAISensor.template_fields,
        "agent_id",
        "environment",
        "values",
        "digest",
        "equals",
    )
    confidential_fields: ClassVar[Sequence[str]] = ("values",)

    exactly_one_of = (("values", "digest", "equals"),)

    def __init__(
        self,
        *,
        agent_id: str,
        environment: EnvironmentName,
        values: Mapping[str, Any] | Templated | None = None,
        digest: str | None = None,
        equals: EnvironmentArgument | Templated | None = None,
        **kwargs: Unpack[PolyAISensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.environment = environment
        self.values = values
        self.digest = digest
        self.equals = equals

    def condition(self) -> ConfigCondition:
        """Return the condition of this sensor."""
        from airflow_voice_agents.polyai.conditions import ConfigCondition

        return ConfigCondition.parse(
            self.agent_id, self.environment, self.argument("values"), self.digest, self.argument("equals")
        )


class PolyAIDeploymentSensor(PolyAISensor):
    """Wait until an environment runs a deployment. Pass exactly one of ``version``, ``deployment_id`` and
    ``newer_than``.

    The sensor tolerates temporary errors of the platform. An error that waiting cannot fix ends the wait at
    once.

    Vendor operation: get active deployments.

    :param agent_id: the agent. (templated)
    :param environment: ``sandbox``, ``pre-release`` or ``live``. (templated)
    :param version: version that must be active. (templated)
    :param deployment_id: deployment that must be active; a rollback or a promotion creates a new one for an
        old version. (templated)
    :param newer_than: time after which the active deployment must have been created: aware datetime, or ISO
        8601 with a time zone. (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises SensorError: if waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: after ``timeout`` seconds.
    :returns: ``agent_id``, ``environment``, ``deployment_id``, ``version`` and ``created_at`` of the active
        deployment.
    """

    trigger_path = "airflow_voice_agents.polyai.triggers:PolyAIDeploymentTrigger"
    template_fields: Sequence[str] = (
        *PolyAISensor.template_fields,
        "agent_id",
        "environment",
        "version",
        "deployment_id",
        "newer_than",
    )

    exactly_one_of = (("version", "deployment_id", "newer_than"),)

    def __init__(
        self,
        *,
        agent_id: str,
        environment: EnvironmentName,
        version: str | None = None,
        deployment_id: str | None = None,
        newer_than: datetime | str | None = None,
        **kwargs: Unpack[PolyAISensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.environment = environment
        self.version = version
        self.deployment_id = deployment_id
        self.newer_than = newer_than

    def condition(self) -> DeploymentCondition:
        """Return the condition of this sensor."""
        from airflow_voice_agents.polyai.conditions import DeploymentCondition

        return DeploymentCondition.parse(
            self.agent_id, self.environment, self.version, self.deployment_id, self.newer_than
        )


class PolyAIConnectorSensor(PolyAISensor):
    """Wait until an agent has a connector with certain settings.

    The sensor also waits for a connector that does not exist yet, because a move from another agent can be in
    progress. The sensor tolerates temporary errors of the platform. An error that waiting cannot fix ends the
    wait at once.

    Vendor operation: list connectors.

    :param agent_id: the agent. (templated)
    :param connector_id: the connector. (templated)
    :param settings: required settings, any of ``variant_id``, ``asr_lang_code`` and ``voice_name``;
        ``variant_id=None`` means no variant. (templated)
    :param client_env: environment of the connector; ``None`` for any. (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises SensorError: if waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: after ``timeout`` seconds.
    :returns: ``agent_id``, ``connector_id`` and ``client_env``.
    """

    trigger_path = "airflow_voice_agents.polyai.triggers:PolyAIConnectorTrigger"
    template_fields: Sequence[str] = (
        *PolyAISensor.template_fields,
        "agent_id",
        "connector_id",
        "settings",
        "client_env",
    )

    def __init__(
        self,
        *,
        agent_id: str,
        connector_id: str,
        settings: ConnectorChanges | Templated | None = None,
        client_env: EnvironmentName | None = None,
        **kwargs: Unpack[PolyAISensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.connector_id = connector_id
        self.settings = settings
        self.client_env = client_env

    def condition(self) -> ConnectorCondition:
        """Return the condition of this sensor."""
        from airflow_voice_agents.polyai.conditions import ConnectorCondition

        return ConnectorCondition.parse(
            self.agent_id, self.connector_id, self.argument("settings"), self.client_env
        )


class PolyAIPhoneNumbersSensor(PolyAISensor):
    """Wait until an agent has numbers in an environment, answered by a connector.

    The sensor tolerates temporary errors of the platform. An error that waiting cannot fix ends the wait at
    once.

    Vendor operation: list phone numbers.

    :param agent_id: the agent. (templated)
    :param phone_numbers: E.164 numbers, all of which must exist. (templated)
    :param client_env: environment of the numbers; ``None`` for any. (templated)
    :param connector_id: connector that must answer the numbers; ``None`` for any. (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises SensorError: if waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: after ``timeout`` seconds.
    :returns: ``agent_id``, and ``phone_numbers``, the count of numbers.
    """

    trigger_path = "airflow_voice_agents.polyai.triggers:PolyAIPhoneNumbersTrigger"
    template_fields: Sequence[str] = (
        *PolyAISensor.template_fields,
        "agent_id",
        "phone_numbers",
        "client_env",
        "connector_id",
    )

    def __init__(
        self,
        *,
        agent_id: str,
        phone_numbers: PhoneNumbers,
        client_env: EnvironmentName | None = None,
        connector_id: str | None = None,
        **kwargs: Unpack[PolyAISensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.phone_numbers = phone_numbers
        self.client_env = client_env
        self.connector_id = connector_id

    def condition(self) -> NumbersCondition:
        """Return the condition of this sensor."""
        from airflow_voice_agents.polyai.conditions import NumbersCondition

        return NumbersCondition.parse(self.agent_id, self.phone_numbers, self.client_env, self.connector_id)


class PolyAIDriftSensor(PolyAISensor):
    """Wait until targets have drifted, or until none has.

    The arguments are those of ``PolyAIDriftOperator``. The sensor tolerates temporary errors of the platform.
    An error that waiting cannot fix, and a target that cannot be compared, end the wait at once. A poll costs
    the reads of a plan, so poll rarely.

    Vendor operations: list real-time configs, get active deployments, list deployments, list connectors,
    list variants, batch get connectors, batch get numbers.

    :param until: ``drift`` or ``in_sync``.
    :param spec: the promotion, see :class:`~airflow_voice_agents.polyai.spec.PromotionSpec`; a string is read
        as YAML or JSON. A spec with config values (``overrides``) cannot be deferred. (templated)
    :param spec_file: YAML or JSON file of the promotion. The sensor reads it for each poll; if deferred, the
        triggerer must be able to read it. (templated)
    :param targets: targets that replace those of the spec. (templated)
    :param baseline: name of the baseline that ``PolyAIApplyPromotionOperator`` stores. (templated)
    :param state_folder: URL of the folder for baselines; ``None`` uses ``[voice_agents] state_folder``.
        (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises SensorError: if waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: after ``timeout`` seconds.
    :returns: ``drifted``, ``counts`` of resources, names of at most 20 drifted ``targets``, and
        ``targets_omitted``.
    """

    trigger_path = "airflow_voice_agents.polyai.triggers:PolyAIDriftTrigger"
    template_fields: Sequence[str] = (
        *PolyAISensor.template_fields,
        "spec",
        "spec_file",
        "targets",
        "baseline",
        "state_folder",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"spec": "json", "targets": "json"}
    confidential_fields: ClassVar[Sequence[str]] = ("spec", "targets")
    open_keys: ClassVar[Sequence[str]] = (
        "agent_id",
        "environment",
        "folder",
        "connector_id",
        "from_agent_id",
    )
    at_most_one_of = (("spec", "spec_file"),)

    def __init__(
        self,
        *,
        until: DriftState,
        spec: Spec | Templated | None = None,
        spec_file: str | None = None,
        targets: Sequence[PromotionTarget] | Templated | None = None,
        baseline: str | None = None,
        state_folder: str | None = None,
        **kwargs: Unpack[PolyAISensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.until = until
        self.spec = spec
        self.spec_file = spec_file
        self.targets = targets
        self.baseline = baseline
        self.state_folder = state_folder

    def argument_problems(self) -> Iterator[str]:
        """Yield a sentence for each invalid argument, including a literal spec."""
        yield from super().argument_problems()
        if isinstance(self.uncovered("spec"), Mapping):
            from airflow_voice_agents.polyai.operators.base import spec_problems

            yield from spec_problems(self)

    def condition(self) -> DriftWait:
        """Return the condition of this sensor."""
        from airflow_voice_agents.bases.template_inputs import from_yaml
        from airflow_voice_agents.polyai.conditions import DriftCondition
        from airflow_voice_agents.polyai.drift_request import DriftWait

        condition = DriftCondition.parse(
            self.until,
            spec=from_yaml(self.uncovered("spec"), name="spec"),
            spec_file=self.spec_file,
            targets=self.argument("targets"),
            baseline=self.baseline,
            state_folder=self.state_folder,
        )
        if self.deferrable:
            condition.serialize()  # refuses values before any request
        return DriftWait(condition)
