"""Imports by name in a thread, because a triggerer imports and runs triggers on its event loop."""

from __future__ import annotations

import asyncio
from pkgutil import resolve_name
from typing import Any

_imported: set[str] = set()


async def resolve_in_thread(*names: str) -> list[Any]:
    """Return named objects; modules that are not loaded yet are imported without blocking the event loop.

    :param names: ``package.module:Name``, in the order in which they are imported.
    """
    if not _imported.issuperset(names):
        await asyncio.to_thread(lambda: [resolve_name(name) for name in names])
        _imported.update(names)
    return [resolve_name(name) for name in names]
