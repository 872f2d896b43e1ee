"""Runs one command: exit code, errors in one sentence, tables or JSON, and progress on a terminal."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from airflow_voice_agents.engine.concurrency import ProgressLog
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.guards import GuardContext
from airflow_voice_agents.transport.errors import VoiceAgentsError
from airflow_voice_agents.transport.text import visible

IN_SYNC, ERROR, DIFFERS = 0, 1, 2
"""Exit codes."""
T = TypeVar("T")


def run_command(command: Callable[[Any], int], args: Any) -> None:
    """Run a command and end the process with its exit code.

    :param command: the command; returns its exit code.
    :param args: the parsed arguments.
    :raises SystemExit: with the exit code.
    :raises Exception: with ``--verbose``, an error that no command expects, for its traceback.
    """
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")  # connections may lie in Airflow's database
    if not getattr(args, "verbose", False):
        logging.disable(logging.CRITICAL)
    try:
        code = command(args)
    except (VoiceAgentsError, OSError) as error:
        sys.stderr.write(f"{visible(str(error))}\n")
        code = ERROR
    except Exception as error:
        if getattr(args, "verbose", False):
            raise
        told = visible(str(error))
        sys.stderr.write(f"{type(error).__name__}: {told}. --verbose shows where it happened.\n")
        code = ERROR
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        code = ERROR
    finally:
        logging.disable(logging.NOTSET)
    raise SystemExit(code)


def show(rows: Sequence[Mapping[str, Any]], args: Any, *, empty: str) -> None:
    """Print rows: tables as Airflow's own commands do, JSON and YAML with numbers and booleans as such.

    :param rows: the rows, all with the same keys.
    :param args: the parsed arguments; ``output`` is ``table``, ``json``, ``yaml`` or ``plain``.
    :param empty: what a table says without any row.
    """
    import yaml  # type: ignore[import-untyped]
    from airflow.cli.simple_table import AirflowConsole

    if not rows and args.output in ("table", "plain"):
        sys.stdout.write(f"{empty}\n")
        return
    safe = [{key: _safe(value) for key, value in row.items()} for row in rows]
    if args.output == "json":
        sys.stdout.write(f"{json.dumps(safe, ensure_ascii=False, indent=2)}\n")
        return
    if args.output == "yaml":
        yaml.safe_dump(safe, sys.stdout, allow_unicode=True, sort_keys=False)
        return
    AirflowConsole(markup=False, highlight=False).print_as(data=safe, output=args.output)


def say(text: str) -> None:
    """Print text for people to standard output.

    :param text: the text; what turns a terminal around is spelled out.
    """
    sys.stdout.write("\n".join(map(visible, text.split("\n"))) + "\n")


def confirmed(question: str, *, yes: bool) -> bool:
    """Return whether a person agrees; without a terminal nobody does.

    :param question: what is asked.
    :param yes: whether ``--yes`` was given.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        sys.stderr.write("Nothing was changed: give --yes where nobody can be asked.\n")
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return str(visible(value))  # also of an enumeration, which YAML refuses
    if isinstance(value, Mapping):
        return {_safe(key): _safe(each) for key, each in value.items()}
    return [_safe(each) for each in value] if isinstance(value, list | tuple) else value


class TerminalRun(RunContext, frozen=True, kw_only=True):
    """A run whose progress is a bar on the terminal.

    :param bars: draws the bars.
    """

    bars: Progress

    def progress(self, what: str, total: int) -> ProgressLog:
        """Return the progress of one part of the run.

        :param what: the work, for people.
        :param total: number of items in all.
        """
        return ProgressBar(self.bars, what, total)


class ProgressBar(ProgressLog):
    """One bar of a terminal.

    :param bars: draws the bars.
    :param what: the work, for people.
    :param total: number of items in all.
    """

    def __init__(self, bars: Progress, what: str, total: int) -> None:
        super().__init__(what, total, lambda _: None)
        self._bars = bars
        self._bar = bars.add_task(visible(what), total=total)

    def add(self, status: str) -> None:
        """Count one finished item.

        :param status: how it ended.
        """
        super().add(status)
        self._bars.advance(self._bar)


@contextmanager
def terminal_run(hook: Any, *, guards: GuardContext | None = None) -> Iterator[TerminalRun]:
    """Yield a run that sends through a hook and shows its progress on standard error.

    :param hook: an open hook.
    :param guards: what the guards decide by.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield TerminalRun(
            sender=hook.asend,
            log=lambda _: None,
            guard_context=guards or GuardContext(),
            redact=hook.client.redact,
            bars=bars,
        )


def send(
    conn_id: str,
    work: Callable[[TerminalRun], Coroutine[Any, Any, T]],
    *,
    guards: GuardContext | None = None,
) -> T:
    """Run async work under a connection of type ``polyai``.

    :param conn_id: id of the connection.
    :param work: takes the run.
    :param guards: what the guards decide by.
    """
    from airflow_voice_agents.polyai.hooks import PolyAIHook

    with PolyAIHook(conn_id) as hook, terminal_run(hook, guards=guards) as run:
        return hook.run(work(run))


def distinct(names: Collection[str]) -> list[str]:
    """Return names in their order, each once.

    :param names: the names.
    """
    return list(dict.fromkeys(names))
