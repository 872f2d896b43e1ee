"""The operators' work without Airflow: one action per operation."""
