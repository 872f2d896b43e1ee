"""The provider's metadata for Airflow.

This module imports nothing but the version: Airflow calls it while ``import airflow`` is still running, and whatever
fails here takes the whole deployment with it.
"""

from airflow_voice_agents import __version__

PACKAGE = "airflow_voice_agents"

SYSTEMS = {
    "PolyAI": (
        "polyai",
        "https://docs.poly.ai",
        (
            *("backup", "configs", "connectors", "deployments", "drift", "phone_numbers"),
            *("promotion", "releases", "rollback", "test_runs", "verification"),
        ),
    ),
    "SignalWire": (
        "signalwire",
        "https://developer.signalwire.com",
        ("e911", "phone_numbers", "routing", "snapshots"),
    ),
    "Omnia Voice": ("omnia_voice", "https://docs.omnia-voice.com", ("phone_numbers", "snapshots")),
}
"""Name -> folder, documentation, modules of operators."""
PORT = "443; the Test button in Airflow's list needs one"
"""Airflow's list sends port 0 for a connection without a port, and then refuses to test it as another connection."""
SPLIT = {("polyai", "sensors"): ("sensors.outcomes", "sensors.resources")}
"""Modules of what a system has more than one module of, beside its operators."""


def get_provider_info() -> dict[str, object]:
    """Return the provider's metadata, in the shape of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-voice-agents",
        "name": "Voice Agents",
        "description": "Voice-agent telephony and configuration as pipelines: import phone numbers, "
        "update connectors, promote environments inside one project and across many, and wire carriers.",
        "versions": [__version__],
        "integrations": [
            {"integration-name": name, "external-doc-url": url, "tags": ["ai", "service"]}
            for name, (_, url, _) in SYSTEMS.items()
        ],
        "operators": [
            {
                "integration-name": name,
                "python-modules": [f"{PACKAGE}.{folder}.operators.{module}" for module in modules],
            }
            for name, (folder, _, modules) in SYSTEMS.items()
        ],
        **{word: _modules(word) for word in ("hooks", "sensors", "triggers")},
        "asset-uris": [
            {"schemes": [scheme], "handler": f"{PACKAGE}.bases.assets.sanitize_uri"}
            for scheme in ("polyai", "signalwire", "omniavoice")
        ],
        "notifications": [f"{PACKAGE}.polyai.notifications.PolyAIPromotionNotifier"],
        "extra-links": [
            *(
                f"{PACKAGE}.polyai.links.{name}"
                for name in ("AgentStudioLink", "PolyAIReportLink", "PromotionReportLink")
            ),
            f"{PACKAGE}.signalwire.links.SignalWireSpaceLink",
            f"{PACKAGE}.bases.links.ReportLink",
        ],
        "cli": [f"{PACKAGE}.cli.definition.get_voice_agents_cli_commands"],
        "plugins": [{"name": "voice_agents", "plugin-class": f"{PACKAGE}.ui.plugin.VoiceAgentsPlugin"}],
        "connection-types": [_polyai(), _signalwire(), _omnia_voice()],
        "config": _settings(),
    }


def _modules(word: str) -> list[dict[str, object]]:
    return [
        {
            "integration-name": name,
            "python-modules": [
                f"{PACKAGE}.{folder}.{module}" for module in SPLIT.get((folder, word), (word,))
            ],
        }
        for name, (folder, _, _) in SYSTEMS.items()
    ]


def _settings() -> dict[str, object]:
    return {
        "voice_agents": {
            "description": "Settings of the operators for voice agents.",
            "options": {
                "state_folder": _option(
                    "URL of the folder for snapshots, holds, locks, baselines, plans and status records, as Airflow's "
                    "object storage supports it. All workers and the API server need the same folder. Empty means "
                    "the folder voice-agents in the Airflow home, which only the workers of one machine share.",
                    "0.1.0",
                    example="s3://aws_default@my-bucket/voice-agents",
                ),
                "allow_local_state": _option(
                    "Allow writes to live although state_folder is empty and the executor can run tasks on several "
                    "machines, which do not see each other's locks.",
                    "0.2.0",
                    example="True",
                    default="False",
                ),
                "show_values": _option(
                    "Show config values in plans, in task logs and on approval screens. Sensitive values are always "
                    "masked. False hides all values; no DAG can override it.",
                    "0.2.0",
                    example="False",
                    default="True",
                ),
                "rate_limit_store": _rate_limit_store(),
                "transport": _transport(),
                "studio_url": _option(
                    "Address of an agent in PolyAI's Agent Studio, for links. The connection and the task fill in "
                    "{region}, {account_id} and {agent_id}. Empty means "
                    "https://studio.{region}.poly.ai/{account_id}/{agent_id}, and for the region studio "
                    "https://studio.poly.ai/{account_id}/{agent_id}; the vendor documents neither.",
                    "0.1.0",
                    example="https://studio.uk.poly.ai/{account_id}/{agent_id}",
                ),
                **_webhooks(),
            },
        },
    }


def _webhooks() -> dict[str, object]:
    return {
        "webhook_conn_id": _option(
            "Id of the Airflow connection whose extra contains the secrets of PolyAI's webhooks. Empty switches "
            "the receiver off.",
            "0.2.0",
            example="polyai_webhooks",
        ),
        "webhook_agents": _option(
            "Agents whose webhooks become asset events, separated by commas. Write slug=PROJECT-1A2B3C4D for an "
            "agent with two ids. The receiver ignores all other agents.",
            "0.2.0",
            example="harbour-hotels, rosa-restaurants=PROJECT-1A2B3C4D",
        ),
    }


def _rate_limit_store() -> dict[str, object]:
    option = _option(
        "URL of a Redis that lets all workers and triggerers share the pace of each API key; needs the extra redis. "
        "It stores digests and times, never a key. Empty means that only the processes of one machine share it.",
        "0.2.0",
        example="rediss://user:password@redis.example.com:6379/0",
    )
    return {**option, "sensitive": True}


def _transport() -> dict[str, object]:
    return _option(
        "HTTP library: httpx, aiohttp (needs the extra fast; less CPU time per request), or auto, which uses aiohttp "
        "if the extra is installed. Empty means auto. If the environment sets a proxy, httpx is always used.",
        "0.2.0",
        example="httpx",
    )


def _option(description: str, added: str, *, example: str, default: str = "") -> dict[str, object]:
    kind = "boolean" if default else "string"
    return {
        "description": description,
        "version_added": added,
        "type": kind,
        "example": example,
        "default": default,
    }


def _polyai() -> dict[str, object]:
    return {
        "connection-type": "polyai",
        "hook-class-name": f"{PACKAGE}.polyai.hooks.PolyAIHook",
        "hook-name": "PolyAI",
        "ui-field-behaviour": {
            "hidden-fields": ["login", "schema"],
            "relabeling": {"password": "API key (required)", "host": "Host override"},
            "placeholders": {
                "port": PORT,
                "password": "the key that Agent Studio showed once",
                "host": "empty, unless a proxy or a local server stands in for PolyAI",
            },
        },
        "conn-fields": {
            "region": {
                "label": "Region",
                "description": "Region of the account and its API key; a key works in its own region only. "
                "Required, unless a host override is given.",
                "schema": {"type": ["string", "null"], "enum": ["us", "eu", "uk", "studio"]},
            },
            "account_id": {
                "label": "Account id",
                "description": "The Workspace ID of Agent Studio. Needed only by operations on a whole "
                "account, such as listing its agents.",
                "schema": {"type": ["string", "null"]},
            },
            **_polyai_runtime(),
            **_limits("Empty means no limit of our own; the platform's limits are respected in any case."),
        },
    }


def _polyai_runtime() -> dict[str, object]:
    return {
        "runtime_api_key": {
            "label": "Runtime API key",
            "description": "A key of the project for the region's runtime host. Needed only to read "
            "conversations and concurrency; the API key is never sent there, nor this one elsewhere.",
            "schema": {"type": ["string", "null"], "format": "password"},
        },
        "runtime_host": {
            "label": "Runtime host override",
            "description": "Empty, unless a proxy or a local server replaces the runtime host. "
            "Required for conversations and concurrency if the host is overridden.",
            "schema": {"type": ["string", "null"]},
        },
    }


def _signalwire() -> dict[str, object]:
    return {
        "connection-type": "signalwire",
        "hook-class-name": f"{PACKAGE}.signalwire.hooks.SignalWireHook",
        "hook-name": "SignalWire",
        "ui-field-behaviour": {
            "hidden-fields": ["schema"],
            "relabeling": {
                "host": "Space (required)",
                "login": "Project id (required)",
                "password": "API token (required)",
            },
            "placeholders": {
                "port": PORT,
                "host": "acme, or acme.signalwire.com",
                "login": "the project's UUID",
                "password": "a token with the scope Numbers",
            },
        },
        "conn-fields": _limits("Empty means no limit of our own."),
    }


def _omnia_voice() -> dict[str, object]:
    return {
        "connection-type": "omniavoice",
        "hook-class-name": f"{PACKAGE}.omnia_voice.hooks.OmniaVoiceHook",
        "hook-name": "Omnia Voice",
        "ui-field-behaviour": {
            "hidden-fields": ["login", "schema"],
            "relabeling": {"password": "API key (required)", "host": "Base URL (required)"},
            "placeholders": {
                "port": PORT,
                "password": "the key that the dashboard showed once",
                "host": "https://api.omnia-voice.com/api/v1",
            },
        },
        "conn-fields": {
            "update_method": {
                "label": "Verb of updates",
                "description": "PATCH or PUT. Empty means PATCH; after a 405 the provider tries the other one once.",
                "schema": {"type": ["string", "null"], "enum": ["PATCH", "PUT"]},
            },
            "api_key_header": {
                "label": "Header of the API key",
                "description": "Empty means X-API-Key.",
                "schema": {"type": ["string", "null"]},
            },
            **_limits(
                "The platform allows 1000 requests per hour and key, about 0.27 per second. Empty means no "
                "limit of our own; the platform's is respected in any case."
            ),
        },
    }


def _limits(pace: str) -> dict[str, object]:
    return {
        "requests_per_second": {
            "label": "Requests per second",
            "description": "Upper limit for all tasks of one machine that use this key, or of all machines where "
            f"[voice_agents] rate_limit_store is set. {pace}",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
        },
        "max_concurrency": {
            "label": "Requests at a time",
            "description": "Maximum number of parallel requests with this key in one worker process, 1 to 64. "
            "Empty means 4.",
            "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 64, "default": 4},
        },
        "timeout": {
            "label": "Time limit per call",
            "description": "Maximum seconds per API request, including resends and waiting. Empty means 60.",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
        },
    }
