"""Base classes that connect operators, sensors and hooks of every system to Airflow."""
