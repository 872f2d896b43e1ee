"""What the operators of every system share at the Airflow edge."""
