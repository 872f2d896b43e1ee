"""Resends without pauses, for tests whose subject is not how long one waits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from airflow_voice_agents.bases.operator import WritingOperator
from airflow_voice_agents.engine.policy import Policy
from airflow_voice_agents.transport import rate_pace, retry

POLLS = (0.001, 0.001, 0.001)
"""Pauses between reads while an outcome is unknown."""


def resend_at_once(patch: pytest.MonkeyPatch) -> None:
    """Send again without a pause, except where the server names one; a rate limit is waited out five times."""
    patch.setattr(retry, "FIRST_WAIT", 0.0)
    patch.setattr(retry, "MAX_REFUSALS", 5)
    for name in ("SLOWEST", "SLOWEST_GUESS"):
        patch.setattr(rate_pace, name, 1e9)


@pytest.fixture(autouse=True, scope="module")
def no_pauses() -> Iterator[None]:
    """Whatever is sent again is sent without a pause, except where the server names one."""
    policy = WritingOperator.policy

    def quick(operator: WritingOperator) -> Policy:
        return replace(policy(operator), settle_polls=POLLS)

    with pytest.MonkeyPatch.context() as patch:
        resend_at_once(patch)
        patch.setattr(WritingOperator, "policy", quick)
        yield
