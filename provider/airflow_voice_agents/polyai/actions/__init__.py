"""What each operator does, free of Airflow: check, read, plan, guard, write, verify, report."""
