"""The commands of ``airflow voice-agents``, as Airflow's own command line reads them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ActionCommand, Arg, CLICommand, GroupCommand

GROUP = "voice-agents"
USAGE_ERROR = 1
"""Exit code for a wrong command line: argparse's own 2 means that something differs."""


class StrictParser(Arg):
    """Makes the parser of a command exit with ``USAGE_ERROR``, also for arguments that it does not know."""

    def __init__(self) -> None:
        self.flags = ("--",)
        self.kwargs: dict[str, Any] = {}

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """Change the parser; no argument is added.

        :param parser: the parser of one command.
        """
        known = parser.parse_known_args

        def error(message: str) -> NoReturn:
            parser.print_usage(sys.stderr)
            parser.exit(USAGE_ERROR, f"{parser.prog}: error: {message}\n")

        def parse_known_args(*given: Any, **options: Any) -> Any:
            found, surplus = known(*given, **options)
            if surplus:
                error(f"unrecognized arguments: {' '.join(surplus)}")
            return found, surplus

        parser.error = error  # type: ignore[method-assign]
        parser.parse_known_args = parse_known_args  # type: ignore[method-assign]


class UnknownCommand(Arg):
    """Makes the parser of a command that does not exist say so and exit with ``USAGE_ERROR``.

    :param name: what was typed.
    :param known: the commands that exist.
    """

    def __init__(self, name: str, known: Collection[str]) -> None:
        self.flags = ("--",)
        self.kwargs: dict[str, Any] = {}
        self.name, self.known = name, known

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """Change the parser; no argument is added.

        :param parser: the parser of the command.
        """

        def refuse(*_: Any, **__: Any) -> NoReturn:
            close = get_close_matches(self.name, self.known, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            parser.exit(
                USAGE_ERROR,
                f"airflow {GROUP}: {self.name!r} is not a command.{hint} Commands: {', '.join(self.known)}.\n",
            )

        parser.parse_known_args = refuse  # type: ignore[method-assign]


STRICT = StrictParser()
CONNECTION = Arg(("--conn-id",), help="Connection of type polyai", default="polyai_default")
FOLDER = Arg(
    ("--state-folder",), help="URL of the state folder (default: [voice_agents] state_folder)", default=None
)
SPEC = Arg(("spec",), help="Promotion spec: a YAML or JSON file, or a URL")
YES = Arg(("--yes",), help="Do not ask; what was shown is carried out", action="store_true")
SHOWN = (ARG_OUTPUT, ARG_VERBOSE)


def lazy(name: str) -> Callable[[Any], None]:
    """Return a command that is imported when it runs.

    :param name: function of :mod:`airflow_voice_agents.cli.commands`.
    """

    def command(args: Any) -> None:
        from importlib import import_module

        from airflow_voice_agents.cli.running import run_command

        run_command(getattr(import_module("airflow_voice_agents.cli.commands"), name), args)

    command.__name__ = name
    return command


def _command(name: str, help: str, *args: Arg) -> ActionCommand:  # noqa: A002  as Airflow names it
    function = lazy(name.replace("-", "_"))
    return ActionCommand(name=name, help=help, func=function, args=(STRICT, *args, *SHOWN))


def get_voice_agents_cli_commands() -> list[CLICommand]:
    """Return the commands, for the ``cli`` of the provider's metadata."""
    help_text = "See and promote voice agents (PolyAI, SignalWire, Omnia Voice)"
    commands = (*_of_the_state_folder(), *_of_the_platform())
    unknown = _unknown([command.name for command in commands], sys.argv)
    return [GroupCommand(name=GROUP, help=help_text, subcommands=(*commands, *unknown))]


def _unknown(known: Sequence[str], argv: Sequence[str]) -> Iterator[ActionCommand]:
    """Yield a stand-in for a command that does not exist: Airflow's own parser would refuse it with exit code 2."""
    match argv[1:]:
        case [group, name, *_] if group == GROUP and not name.startswith("-") and name not in known:
            refused = UnknownCommand(name, known)
            yield ActionCommand(name=name, help="", func=lazy("status"), args=(refused,), hide=True)


def _of_the_state_folder() -> Iterator[ActionCommand]:
    yield _command(
        "status",
        "Show how targets stand, from what runs left; no request is sent",
        Arg(("--project",), help="Only this project", default=None),
        Arg(("--state",), help="Only targets in this state, such as 'on hold'", default=None),
        FOLDER,
    )
    yield _command("locks", "List the locks of runs", FOLDER)
    yield _command("holds", "List the targets on hold", FOLDER)
    yield _command(
        "release-hold",
        "Release targets that a rollback put on hold",
        Arg(("targets",), help="Targets, as agent/environment", nargs="+"),
        YES,
        FOLDER,
    )


def _of_the_platform() -> Iterator[ActionCommand]:
    yield _command(
        "agents",
        "List the agents of an account",
        Arg(("--account-id",), help="Account (default: that of the connection)", default=None),
        CONNECTION,
    )
    yield _command("diff", "Show how targets of a spec differ from their sources", SPEC, CONNECTION, FOLDER)
    yield _command(
        "plan",
        "Plan a promotion, and with --apply carry out exactly what was shown",
        SPEC,
        Arg(("--apply",), help="Carry the plan out after it was shown", action="store_true"),
        YES,
        Arg(("--confirm-live",), help="The run may write where callers are", action="store_true"),
        Arg(("--hide-values",), help="Show keys without their values", action="store_true"),
        CONNECTION,
        FOLDER,
    )
    yield _command(
        "validate",
        "Check spec and export files without a connection, for a pull request",
        Arg(("files",), help="Spec files, and folders of an export", nargs="+"),
    )
    yield _command(
        "export",
        "Keep environments as files",
        Arg(("targets",), help="Environments, as agent/environment", nargs="+"),
        Arg(("--folder",), help="Absolute path or URL that the files go to", required=True),
        CONNECTION,
    )
