"""What Airflow discovers about this provider.

This module imports nothing: Airflow calls it while ``import airflow`` is still running, and whatever
fails here takes the whole deployment with it.
"""


def get_provider_info() -> dict[str, object]:
    """Return the provider's metadata, in the shape of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-voice-agents",
        "name": "Voice Agents",
        "description": "Voice-agent telephony and configuration as pipelines: import phone numbers, "
        "update connectors in bulk, promote environments inside one project and across many.",
        "versions": ["0.1.0"],
        "integrations": [
            {
                "integration-name": "PolyAI",
                "external-doc-url": "https://docs.poly.ai",
                "tags": ["ai", "service"],
            },
        ],
        "hooks": [{"integration-name": "PolyAI", "python-modules": ["airflow_voice_agents.polyai.hooks"]}],
        "operators": [
            {
                "integration-name": "PolyAI",
                "python-modules": [
                    "airflow_voice_agents.polyai.operators.configs",
                    "airflow_voice_agents.polyai.operators.connectors",
                    "airflow_voice_agents.polyai.operators.phone_numbers",
                ],
            },
        ],
        "sensors": [
            {"integration-name": "PolyAI", "python-modules": ["airflow_voice_agents.polyai.sensors"]},
        ],
        "triggers": [
            {"integration-name": "PolyAI", "python-modules": ["airflow_voice_agents.polyai.triggers"]},
        ],
        "asset-uris": [
            {"schemes": ["polyai"], "handler": "airflow_voice_agents.edge.assets.sanitize_uri"},
        ],
        "connection-types": [_polyai_connection()],
    }


def _polyai_connection() -> dict[str, object]:
    return {
        "connection-type": "polyai",
        "hook-class-name": "airflow_voice_agents.polyai.hooks.PolyAIHook",
        "hook-name": "PolyAI",
        "ui-field-behaviour": {
            "hidden-fields": ["login", "port", "schema"],
            "relabeling": {"password": "API key", "host": "Host override"},
            "placeholders": {
                "password": "the key that Agent Studio showed once",
                "host": "empty, unless a proxy or a local server stands in for PolyAI",
            },
        },
        "conn-fields": _polyai_fields(),
    }


def _polyai_fields() -> dict[str, object]:
    return {
        "region": {
            "label": "Region",
            "description": "Where the account and its API key live; a key works in its own region only. "
            "Required, unless a host override is given.",
            "schema": {"type": ["string", "null"], "enum": ["us", "eu", "uk", "studio"]},
        },
        "account_id": {
            "label": "Account id",
            "description": "The Workspace ID of Agent Studio. Needed only by operations on a whole "
            "account, such as listing its agents.",
            "schema": {"type": ["string", "null"]},
        },
        "requests_per_second": {
            "label": "Requests per second",
            "description": "Upper limit for all tasks of one worker process that use this key. "
            "Empty means no limit of our own; the platform's limits are respected in any case.",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
        },
        "max_concurrency": {
            "label": "Requests at a time",
            "description": "How many requests may be under way at once with this key in one worker "
            "process, 1 to 64. Empty means 4.",
            "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 64, "default": 4},
        },
        "timeout": {
            "label": "Time limit per call",
            "description": "Seconds that one call may take in total, retries and waiting included. "
            "Empty takes the provider's default.",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
        },
    }
