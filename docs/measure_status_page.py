"""Measure the status page with 5,000 targets: the first answer of a new process, then pages of results.

python docs/measure_status_page.py
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

PROJECTS = 2480
"""Further projects in sync; with the others about 5,000 targets that runs left records of."""
PAGES = (
    *("?page=2&group=none", "?q=site-00&group=none", "?sort=age&group=none&page=3"),
    *("?state=ready+to+promote", "?project=harbour-hotels&group=none", ""),
)


def main() -> None:
    """Print wall and processor time of each answer."""
    from fastapi.testclient import TestClient

    sys.path.insert(0, str(Path(__file__).parent))
    from screenshots import page

    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("AIRFLOW_HOME", f"{folder}/airflow")
        client = TestClient(page(Path(folder) / "state", more=PROJECTS))
        for query in ("", *PAGES):
            wall, processor = time.perf_counter(), time.process_time()
            answer = client.get(f"/{query}")
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            assert answer.status_code == 200
            print(
                f"{1000 * wall:7.1f} ms, processor {1000 * processor:7.1f} ms, {len(answer.text):7,} bytes  /{query}"
            )


if __name__ == "__main__":
    main()
