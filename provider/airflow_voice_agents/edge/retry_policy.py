"""Former path of :mod:`airflow_voice_agents.bases.retry_policy`, kept for stored DAGs."""

from airflow_voice_agents.bases.retry_policy import VoiceAgentsRetryPolicy

__all__ = ["VoiceAgentsRetryPolicy"]
