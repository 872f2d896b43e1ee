"""A fixture for modules whose subject is not how long one waits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_voice_agents.transport import retry


@pytest.fixture(autouse=True, scope="module")
def no_pauses() -> Iterator[None]:
    """Whatever is sent again is sent without a pause, except where the server names one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry, "FIRST_WAIT", 0.0)
        yield
