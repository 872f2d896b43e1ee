"""Former paths of classes that Airflow stores or that DAGs import. Use ``bases`` and ``state`` in new code."""
