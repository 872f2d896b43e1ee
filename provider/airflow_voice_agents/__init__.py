"""Airflow provider for voice-agent platforms and carriers."""

__version__ = "0.2.0"
