"""The page in Airflow that shows which environment of which project runs what."""
