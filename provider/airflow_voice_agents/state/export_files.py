"""Reading and writing text files below a folder of Airflow's object storage, for people and version control.

The files are not encrypted: who may read the folder may read all that is in them. Nothing of what they
hold is logged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from airflow_voice_agents.plans.decoding import LIMITS, decode_text
from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.transport.errors import InputError


def checked(folder: object) -> str:
    """Return a folder's URL, without a slash at its end, once it is known that something can reach it.

    This also resolves the Airflow connection that the URL names, so that other threads need not.

    :param folder: local path, or a URL that Airflow's object storage knows (``s3://conn_id@bucket/path``).
    :raises InputError: when it is none.
    """
    from airflow.sdk import ObjectStoragePath

    if not isinstance(folder, str) or folder.strip() in ("", "None"):  # what a template makes of no value
        raise InputError("folder is missing; give a local path or a URL")
    try:
        _ = ObjectStoragePath(folder).fs
    except (ValueError, ImportError) as error:
        raise InputError(
            f"folder {folder} is of a kind that this Airflow has no file system for ({type(error).__name__}). "
            "Check its scheme, and that the provider for that storage is installed."
        ) from None
    return folder if folder == "/" else folder.rstrip("/")


def names(folder: str, place: str) -> list[str]:
    """List the files in a place; none where it does not exist.

    :param folder: URL of the folder.
    :param place: path below it.
    """
    return _files(folder, place).names()


def write(folder: str, files: Mapping[str, str]) -> list[str]:
    """Write those files whose text is another one than what is there, each as a whole.

    :param folder: URL of the folder; it comes to be with the first file.
    :param files: path below the folder -> text.
    :returns: paths of what was written, in the order given.
    :raises OSError: when the storage refuses; what was written before stays.
    """
    written = []
    for path, text in files.items():
        place, _, name = path.rpartition("/")
        there, content = _files(folder, place), text.encode()
        if there.read(name) != content:
            there.write(name, content)
            written.append(path)
    return written


def read(folder: str, place: str, wanted: Collection[str]) -> dict[str, str]:
    """Read those of some files that are in a place.

    :param folder: URL of the folder.
    :param place: path below it.
    :param wanted: names of the files.
    :returns: name -> text.
    :raises InputError: when there is none of them, or one is not a text.
    :raises OSError: when the storage cannot be read for another reason.
    """
    files = _files(checked(folder), place)
    contents = {name: files.read(name, limit=LIMITS.size) for name in files.names() if name in wanted}
    found = {name: content for name, content in contents.items() if content is not None}
    if not found:
        raise InputError(
            f"{files.url('').rstrip('/')} has none of the files {', '.join(sorted(wanted))}. Check the folder, the "
            "agent and the environment, or export there first."
        )
    return {name: decode_text(content, where=files.url(name)) for name, content in found.items()}


def _files(folder: str, place: str) -> StateFiles:
    return StateFiles(f"{folder.rstrip('/')}/{place}" if place else folder)
