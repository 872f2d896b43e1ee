"""PolyAI: calls, models, resource kinds, hook, operators, sensors and triggers."""

ENVIRONMENTS = ("sandbox", "pre-release", "live")
"""The environments of an agent, as arguments and specs name them."""

ALSO_PRE_RELEASE = ("pre_release", "prerelease")
SPELLINGS = (*ENVIRONMENTS, *ALSO_PRE_RELEASE)
"""Every spelling of them that is read."""

TYPE_ALIASES = {
    "EnvironmentName": SPELLINGS,
    "DeploymentModelName": ("ladder", "branches", "auto", "simplified"),
    "DriftState": ("drift", "in_sync"),
    "StaleKeysName": ("fail", "keep", "null"),
}
"""Texts that the types of :mod:`.types` stand for."""

NEVER_PROMOTE = ("**.mock_*", "**.use_mock_*", "**.use_dev_*")
"""Selectors of test switches: by default each environment keeps its own."""
