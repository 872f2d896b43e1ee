"""The operator that runs an agent's tests on a branch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from airflow_voice_agents.polyai.operators.base import PROMOTION_LINKS, PolyAIWritingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.types import Templated
    from airflow_voice_agents.polyai.types import PolyAIWritingArguments

TESTED_KEY = "tested"
"""XCom of the evidence: what was tested, when, and by which runs."""


class PolyAIRunTestsOperator(PolyAIWritingOperator):
    """Start tests on a branch, and return evidence that binds them to exactly this state of the branch.

    The task does not wait: :class:`.PolyAITestRunsSensor` waits for the runs, and a release or a promotion
    with the XCom ``tested`` checks that they passed on the content to deploy. A retry starts nothing if the
    run of an earlier try is in progress or has passed on the current state of the branch. Without tests
    nothing runs, and the result is skipped, not passed.

    XComs in addition to ``report``: ``tested`` (``agent_id``, ``branch_id``, ``state``, ``since``,
    ``test_run_ids``) and ``test_run_ids``.

    Vendor operations: list branches, list attributes, list variants, list topics, get behavior, list test runs,
    trigger test run.

    :param agent_id: the agent. (templated)
    :param branch: id or name of the branch, or ``main``. (templated)
    :param test_ids: ids of the tests: a list, or a string with a JSON list or with ids separated by commas.
        (templated)
    :param run_name: the name of the run; empty for none. (templated)
    :param form: form of the request: ``select``, the current one, or ``flat``, the deprecated list.
    :param verify: read the list of runs after a confirmed start.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises GuardRefused: if the branch does not exist.
    :raises ItemsFailed: if no run was started.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *PolyAIWritingOperator.template_fields,
        "agent_id",
        "branch",
        "test_ids",
        "run_name",
    )
    may_be_empty = (*PolyAIWritingOperator.may_be_empty, "test_ids", "run_name")
    operator_extra_links = PROMOTION_LINKS

    def __init__(
        self,
        *,
        agent_id: str,
        branch: str,
        test_ids: Sequence[str] | Templated,
        run_name: str = "",
        form: Literal["select", "flat"] = "select",
        **kwargs: Unpack[PolyAIWritingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.branch = branch
        self.test_ids = test_ids
        self.run_name = run_name
        self.form = form

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the tests and report."""
        from airflow_voice_agents.bases.protections import now
        from airflow_voice_agents.polyai.actions.test_runs import parse_tests

        def leave(tested: Mapping[str, Any]) -> None:
            context["ti"].xcom_push(key=TESTED_KEY, value=dict(tested))
            context["ti"].xcom_push(key="test_run_ids", value=tested["test_run_ids"])

        action = parse_tests(
            self.agent_id,
            self.branch,
            self.test_ids,
            name=self.run_name,
            form=self.form,
            since=now().isoformat(),
            on_tested=leave,
        )
        self.leave_links(context, [action.agent_id])
        return self.finish(context, self.apply(context, action), changes={})
