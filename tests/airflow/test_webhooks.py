"""A webhook in a whole Airflow API server: it makes an asset event, which queues the DAG that looks for drift."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from airflow_voice_agents.emulator.server import EmulatorServer
from support.airflow_home import AirflowHome
from support.emulated import HOTELS, KEY, LIVE, PRE_RELEASE, ROSA

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "drift_on_webhook.py"
SUPPORT = Path(__file__).parents[1] / "support"
SECRET, TOKEN, CANARY = "signing-0123456789abcdef", "token-0123456789abcdef", "hunter2 said the caller"
SECRETS = {"webhook_signing_secret": SECRET, "webhook_token": TOKEN}
SCRIPT = f"""
import hashlib, hmac, json, os, sys, time
from pathlib import Path
sys.path.insert(0, {str(SUPPORT.parent)!r})
from support.run_dag_file import main
if os.fork() == 0:  # a process of its own that has Airflow loaded already
    main({{"file": sys.argv[1], "dag_id": None, "conf": {{}}}}, Path(sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)
assert os.wait()[1] == 0
from airflow.api_fastapi.main import app  # as the API server starts, with connections from the database
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi.testclient import TestClient
client = TestClient(app)
admin = SimpleAuthManagerUser(username="u", role="admin")
rights = {{"Authorization": "Bearer " + get_auth_manager().generate_jwt(admin)}}
ADDRESS = "/team/voice-agents/webhooks/polyai/"
made = client.post("/team/api/v2/connections", headers=rights, json={{
    "connection_id": "polyai_webhooks", "conn_type": "generic", "extra": json.dumps({SECRETS!r})
}})
assert made.status_code == 201, made.text


def body(agent):
    return json.dumps({{"project_id": agent, "note": {CANARY!r}}}).encode()


def account(agent, secret, event):
    now = str(int(time.time()))
    signature = hmac.new(secret.encode(), now.encode() + b"." + body(agent), hashlib.sha256).hexdigest()
    headers = {{"X-PolyAI-Timestamp": now, "X-PolyAI-Signature": signature, "X-PolyAI-Event-ID": event}}
    return post("account", agent, headers)


def post(kind, agent, headers):
    headers["Content-Type"] = "application/json"
    return client.post(ADDRESS + kind, content=body(agent), headers=headers).status_code


codes = [
    account({HOTELS!r}, "forged-0123456789abcdef", "e1"),
    account({HOTELS!r}, {SECRET!r}, "e1"),
    account({HOTELS!r}, {SECRET!r}, "e1"),
    post("agent", {ROSA!r}, {{"X-Webhook-Token": "wrong"}}),
    post("agent", {ROSA!r}, {{"X-Webhook-Token": {TOKEN!r}}}),
]
events = client.get("/team/api/v2/assets/events", headers=rights).json()["asset_events"]
queued = client.get("/team/api/v2/dags/drift_on_webhook/assets/queuedEvents", headers=rights).json()
answers = {{"codes": codes, "events": [[each["uri"], each["extra"]] for each in events]}}
answers["queued"] = queued["total_entries"]
print("ANSWERS" + json.dumps(answers))
"""


def test_a_webhook_queues_the_example_which_reads_the_platform(
    airflow_home: AirflowHome, tmp_path: Path
) -> None:
    airflow_home.settings |= {
        "AIRFLOW__API__BASE_URL": "http://testserver/team/",
        "AIRFLOW__API_AUTH__JWT_SECRET": "x" * 64,
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__VOICE_AGENTS__WEBHOOK_CONN_ID": "polyai_webhooks",
        "AIRFLOW__VOICE_AGENTS__WEBHOOK_AGENTS": f"{HOTELS}, {ROSA}",
    }
    with EmulatorServer() as server:
        airflow_home.connect("polyai_default", conn_type="polyai", host=server.url, password=KEY)
        page = server.polyai.page(ROSA, PRE_RELEASE)
        server.polyai.write_page(ROSA, LIVE, variables=page["variables"], schema=page["schema"])
        before = server.state.snapshot()
        path = tmp_path / "post.py"
        path.write_text(SCRIPT)
        done = subprocess.run(
            [sys.executable, str(path), str(airflow_home.add_dag(EXAMPLE)), str(tmp_path / "run.json")],
            env=airflow_home.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert server.state.snapshot() == before

    run = json.loads((tmp_path / "run.json").read_text())
    assert run["state"] == "success", done.stdout
    assert list(run["xcoms"]["look"]["return_value"]["targets"]) == [f"{HOTELS}/{LIVE}"]
    assert run["tasks"]["tell"] == "success"
    answers = json.loads(done.stdout.rpartition("ANSWERS")[2])
    assert answers["codes"] == [403, 204, 204, 403, 204]
    extras = [{"webhook": kind, "verified": kind == "account"} for kind in ("account", "agent")]
    events = sorted(each for each in answers["events"] if each[0].endswith("/webhook"))
    assert events == [
        [f"polyai://agents/{HOTELS}/webhook", extras[0]],
        [f"polyai://agents/{ROSA}/webhook", extras[1]],
    ]
    assert answers["queued"] == 2
    assert not [text for text in (CANARY, SECRET, TOKEN) if text in done.stdout + done.stderr]
