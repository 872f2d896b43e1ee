"""Read promotion specs from, and export files to and from, Airflow's object storage."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from airflow_voice_agents.bases.template_inputs import from_yaml, read_yaml
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.polyai.files import (
    EnvironmentFiles,
    Shelf,
    documents,
    place,
    refuse_twins,
    shelf_of,
)
from airflow_voice_agents.polyai.spec import PromotionSpec
from airflow_voice_agents.state.export_files import names, read, write
from airflow_voice_agents.transport.errors import InputError

REMEMBERED = 64
"""Most environments of which the files are not read again when they are asked for again."""


def shelf() -> Shelf:
    """Return what reads the files of an export; several threads may use it.

    The same files are read once as long as few others come between, and are the same for as long. The one
    who asks gets ``InputError`` where there are none, or they are wrong.
    """
    return lru_cache(maxsize=REMEMBERED)(shelf_of(read))


def read_spec(spec: Any, spec_file: str | None, targets: Any) -> PromotionSpec:
    """Read a promotion from where it is.

    :param spec: the promotion; a text is read as YAML or JSON.
    :param spec_file: file that holds it.
    :param targets: targets instead of those of the promotion.
    :raises InputError: when it is wrong, given twice, or not at all.
    """
    if (spec is None) == (spec_file is None):
        raise InputError("give either spec or spec_file")
    given = from_yaml(spec, name="spec") if spec_file is None else read_yaml(spec_file, name="spec_file")
    if targets is not None and isinstance(given, Mapping):
        given = {**given, "targets": targets}
    return PromotionSpec.parse(given)


def keep(folder: str, environment: Resource, files: EnvironmentFiles) -> list[str]:
    """Write an environment's files below a folder and return the names of those that changed.

    :param folder: URL of the folder, once it was checked.
    :param environment: the environment.
    :param files: what it holds.
    """
    where = place(environment.owner, environment.name)
    texts = documents(files)
    refuse_twins([*names(folder, where), *texts], where)
    written = write(folder, {f"{where}/{name}": text for name, text in texts.items()})
    return [path.rpartition("/")[2] for path in written]
