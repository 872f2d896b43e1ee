"""``airflow voice-agents``: see, plan, check and keep what the operators work with, from a terminal."""
