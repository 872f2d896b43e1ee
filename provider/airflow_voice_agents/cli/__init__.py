"""The command line ``airflow voice-agents``."""
