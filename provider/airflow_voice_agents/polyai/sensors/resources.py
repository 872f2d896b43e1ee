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
    """Wait until an environment's config page is as wanted. Give exactly one of the three conditions.

    Transient errors of the platform are tolerated; errors that waiting cannot mend end the wait at once.

    Vendor operation: list real-time configs.

    :param agent_id: the agent. (templated)
    :param environment: ``sandbox``, ``pre-release`` or ``live``. (templated)
    :param values: keys and values that the page must hold; of an object only the members given are
        compared. Neither the triggerer nor a log sees them. (templated)
    :param digest: digest of the page, as a report's ``after`` gives it. (templated)
    :param equals: mapping of ``agent_id`` and ``environment`` of a page that it must equal. (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises SensorError: when waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: when ``timeout`` seconds passed.
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
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import ConfigCondition

        return ConfigCondition.parse(
            self.agent_id, self.environment, self.argument("values"), self.digest, self.argument("equals")
        )


class PolyAIDeploymentSensor(PolyAISensor):
    """Wait until an environment runs a deployment. Give exactly one of the last three conditions.

    Transient errors of the platform are tolerated; errors that waiting cannot mend end the wait at once.

    Vendor operation: get active deployments.

    :param agent_id: the agent. (templated)
    :param environment: ``sandbox``, ``pre-release`` or ``live``. (templated)
    :param version: version that is to be active. (templated)
    :param deployment_id: record that is to be active; a rollback or a promotion makes a new one of an old
        version. (templated)
    :param newer_than: aware time, or ISO 8601 with a zone, after which the active record is to have been
        made. (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises SensorError: when waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: when ``timeout`` seconds passed.
    :returns: ``agent_id``, ``environment``, ``deployment_id``, ``version`` and ``created_at`` of what is
        active.
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
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import DeploymentCondition

        return DeploymentCondition.parse(
            self.agent_id, self.environment, self.version, self.deployment_id, self.newer_than
        )


class PolyAIConnectorSensor(PolyAISensor):
    """Wait until an agent has a connector, with some settings.

    One that is not there is waited for: it may be on its way from another agent. Transient errors of the
    platform are tolerated; errors that waiting cannot mend end the wait at once.

    Vendor operation: list connectors.

    :param agent_id: the agent. (templated)
    :param connector_id: the connector. (templated)
    :param settings: ``variant_id``, ``asr_lang_code`` and ``voice_name`` that it is to have, as many as
        matter; a ``variant_id`` of ``None`` is an unassigned variant. (templated)
    :param client_env: environment that it is to be in; ``None`` for any. (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises SensorError: when waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: when ``timeout`` seconds passed.
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
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import ConnectorCondition

        return ConnectorCondition.parse(
            self.agent_id, self.connector_id, self.argument("settings"), self.client_env
        )


class PolyAIPhoneNumbersSensor(PolyAISensor):
    """Wait until an agent has numbers in an environment, answered by a connector.

    Transient errors of the platform are tolerated; errors that waiting cannot mend end the wait at once.

    Vendor operation: list phone numbers.

    :param agent_id: the agent. (templated)
    :param phone_numbers: E.164 numbers, all of which must be there. (templated)
    :param client_env: environment that they must be in; ``None`` for any. (templated)
    :param connector_id: connector that must answer them; ``None`` for any. (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises SensorError: when waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: when ``timeout`` seconds passed.
    :returns: ``agent_id``, and the number of numbers as ``phone_numbers``.
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
        """Return what is waited for."""
        from airflow_voice_agents.polyai.conditions import NumbersCondition

        return NumbersCondition.parse(self.agent_id, self.phone_numbers, self.client_env, self.connector_id)


class PolyAIDriftSensor(PolyAISensor):
    """Wait until targets have drifted, or until none has any more.

    What is compared is named as for ``PolyAIDriftOperator``. Transient errors of the platform are tolerated;
    errors that waiting cannot mend, and targets that cannot be compared, end the wait at once. A question
    costs the reads of a plan: ask rarely.

    Vendor operations: list real-time configs, get active deployments, list deployments, list connectors,
    list variants, batch get connectors, batch get numbers.

    :param until: ``drift``, or ``in_sync`` for its end.
    :param spec: the promotion, as :class:`~airflow_voice_agents.polyai.spec.PromotionSpec` has it; a text is
        read as YAML or JSON. One with config values (``overrides``) cannot be deferred. (templated)
    :param spec_file: file that holds it, read again for each question, by the triggerer when deferred: a path
        or URL that it can reach as well. (templated)
    :param targets: targets instead of those of the spec. (templated)
    :param baseline: name under which ``PolyAIApplyPromotionOperator`` notes what it applied. (templated)
    :param state_folder: URL of the folder for baselines; ``None`` takes ``[voice_agents] state_folder``.
        (templated)
    :param deferrable: wait in the triggerer, without a worker slot.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises SensorError: when waiting cannot help; with ``soft_fail`` the task is skipped.
    :raises AirflowSensorTimeout: when ``timeout`` seconds passed.
    :returns: ``drifted``, ``counts`` of resources, names of at most 20 ``targets`` that have drifted, and
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
        """Yield a sentence for each argument that is wrong, a spec that is written into the DAG included."""
        yield from super().argument_problems()
        if isinstance(self.uncovered("spec"), Mapping):
            from airflow_voice_agents.polyai.operators.base import spec_problems

            yield from spec_problems(self)

    def condition(self) -> DriftWait:
        """Return what is waited for."""
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
