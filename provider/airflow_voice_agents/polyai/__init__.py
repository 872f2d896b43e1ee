"""PolyAI: requests, models, resource kinds, hook, operators, sensors and triggers."""

ENVIRONMENTS = ("sandbox", "pre-release", "live")
"""The environments of an agent, as arguments and specs name them."""

ALSO_PRE_RELEASE = ("pre_release", "prerelease")
SPELLINGS = dict.fromkeys(ALSO_PRE_RELEASE, "pre-release")
"""Further spellings of an environment -> its name."""

TYPE_ALIASES = {
    "EnvironmentName": ENVIRONMENTS,
    "DeploymentModelName": ("ladder", "branches", "auto", "simplified"),
    "DriftState": ("drift", "in_sync"),
    "StaleKeysName": ("fail", "keep", "null"),
}
"""Texts that the types of :mod:`.types` stand for."""

TYPES_PATH = "airflow_voice_agents.polyai.types"
SPEC_TYPES = ("Spec", "PromotionTarget")
"""Types that a JSON Schema describes, which checks them."""

ADVISED_KEYS = ("project_id",)
"""Keys of an update about which a task says what to do instead."""

NEVER_PROMOTE = ("**.mock_*", "**.use_mock_*", "**.use_dev_*")
"""Selectors of test switches: by default each environment keeps its own."""
