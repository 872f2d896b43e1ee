"""Airflow provider for voice-agent platforms and carriers."""

__version__ = "0.1.0"
