"""The page in a whole Airflow API server: found by itself, with Airflow's own users, below a base path."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.airflow_home import AirflowHome

SCRIPT = """
import json
from airflow.api_fastapi.app import create_app, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi.testclient import TestClient
app = create_app("core")
client = TestClient(app)


def token(role):
    user = SimpleAuthManagerUser(username="u", role=role)
    return {"Authorization": "Bearer " + get_auth_manager().generate_jwt(user)}


answers = {
    "anonymous": client.get("/team/voice-agents/").status_code,
    "no role": client.get("/team/voice-agents/", headers=token(None)).status_code,
    "viewer": client.get("/team/voice-agents/", headers=token("viewer")).status_code,
    "page": client.get("/team/voice-agents/", headers=token("viewer")).text,
    "css": client.get("/team/voice-agents/static/page.css").status_code,
    "plugins": client.get("/team/api/v2/plugins", headers=token("admin")).json()["plugins"],
    "errors": client.get("/team/api/v2/plugins/importErrors", headers=token("admin")).json(),
}
print("ANSWERS" + json.dumps(answers))
"""


def test_airflow_serves_the_page_to_those_who_may_read_dags(
    airflow_home: AirflowHome, tmp_path: Path
) -> None:
    airflow_home.settings |= {
        "AIRFLOW__CORE__LAZY_DISCOVER_PROVIDERS": "False",
        "AIRFLOW__API__BASE_URL": "http://testserver/team/",
        "AIRFLOW__API_AUTH__JWT_SECRET": "x" * 64,
    }
    path = tmp_path / "ask.py"
    path.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(path)],
        env=airflow_home.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]

    answers = json.loads(done.stdout.rpartition("ANSWERS")[2])
    codes = [answers[name] for name in ("anonymous", "no role", "viewer", "css")]
    assert codes == [401, 403, 200, 401]
    assert "Nothing is on record yet" in answers["page"]
    (plugin,) = [each for each in answers["plugins"] if each["name"] == "voice_agents"]
    assert plugin["external_views"][0]["href"] == "/team/voice-agents/"
    assert answers["errors"]["total_entries"] == 0
