"""The hook: what a connection's fields become, what the connection test says, and how calls are sent."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from airflow.sdk import BaseOperator
from airflow.sdk._shared.secrets_masker import DEFAULT_SENSITIVE_FIELDS, SecretsMasker

from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.hooks import PolyAIHook
from airflow_voice_agents.polyai.operators.configs import PolyAIUpdateConfigOperator
from airflow_voice_agents.transport import client as http_client
from airflow_voice_agents.transport.errors import ConnectionSettingsError, NotFound, Unauthorized
from airflow_voice_agents.transport.settings import DEFAULT_CONCURRENCY, DEFAULT_DEADLINE, ClientSettings
from support.airflow_runner import AirflowRunner
from support.airflow_versions import set_supervisor_comms
from support.emulated import HOTELS, KEY, LIVE, PAGES, PRE_RELEASE, ROSA, Emulated, place

SECRET = "s3cret-key-marker"


@contextmanager
def inside_a_task(runner: AirflowRunner) -> Iterator[None]:
    """Connections are resolved as they are in a task."""
    with set_supervisor_comms(runner):
        yield


def with_connection(**fields: Any) -> AirflowRunner:
    return AirflowRunner(
        connections={"polyai_default": {"conn_type": "polyai", "password": SECRET, **fields}}
    )


def settings_of(**fields: Any) -> ClientSettings:
    with inside_a_task(with_connection(**fields)), PolyAIHook() as hook:
        return hook.client.settings


# ------------------------------------------------------------------------------ fields of the form


@pytest.mark.parametrize("region", ["us", "eu", "uk", "studio"])
def test_a_region_names_the_host(region: str) -> None:
    settings = settings_of(extra={"region": region})

    assert settings.base_url == f"https://api.{region}.poly.ai"
    assert settings.headers == {"X-API-KEY": SECRET}
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": "gateway.example.com"}, "https://gateway.example.com"),
        ({"host": "https://gateway.example.com/polyai"}, "https://gateway.example.com/polyai"),
        ({"host": "gateway.example.com", "port": 8443}, "https://gateway.example.com:8443"),
        ({"host": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080"),
        ({"host": "http://localhost", "port": 8080}, "http://localhost:8080"),
        ({"host": " gateway.example.com "}, "https://gateway.example.com"),
        ({"host": "", "extra": {"region": "uk"}}, "https://api.uk.poly.ai"),
        ({"host": "gateway.example.com", "extra": {"region": "uk"}}, "https://gateway.example.com"),
    ],
)
def test_a_host_override_goes_before_the_region(fields: dict[str, Any], base_url: str) -> None:
    assert settings_of(**fields).base_url == base_url


def test_numbers_of_the_form_are_taken_as_numbers_or_texts() -> None:
    extra = {"region": "uk", "requests_per_second": "2.5", "max_concurrency": "8", "timeout": 30}

    settings = settings_of(extra=extra)

    assert (settings.requests_per_second, settings.max_concurrency, settings.deadline) == (2.5, 8, 30)


def test_empty_fields_of_the_form_are_unset() -> None:
    extra = {
        "region": "uk",
        "requests_per_second": "",
        "max_concurrency": None,
        "timeout": "",
        "account_id": "",
    }

    settings = settings_of(extra=extra)

    assert settings.requests_per_second is None
    assert settings.max_concurrency == DEFAULT_CONCURRENCY
    assert settings.deadline == DEFAULT_DEADLINE


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "region is missing: one of us, eu, uk, studio"),
        ({"extra": {"region": ""}}, "region is missing"),
        ({"extra": {"region": "de"}}, "region must be one of us, eu, uk, studio, not 'de'"),
        ({"extra": {"region": 7}}, "region must be a text"),
        ({"host": "api.poly.ai"}, "api.poly.ai without a region does not exist"),
        ({"host": "https://API.poly.ai/"}, "api.poly.ai without a region does not exist"),
        ({"host": "http://gateway.example.com"}, "must use https"),
        ({"host": "http://10.0.0.1"}, "must use https"),
        ({"host": "ftp://gateway.example.com"}, "must have the form https://host"),
        ({"host": f"https://me:{SECRET}@gateway.example.com"}, "user name or password"),
        ({"host": "https://gateway.example.com?x=1"}, "query or a fragment"),
        ({"host": "gate way.example.com"}, "must have the form https://host"),
        ({"password": None}, "the API key (password) is missing"),
        ({"password": ""}, "the API key (password) is missing"),
        ({"password": f"{SECRET}\n"}, "white space"),
        ({"password": f" {SECRET}"}, "white space"),
        ({"password": f"{SECRET} two"}, "white space"),
        ({"password": f"{SECRET}é"}, "printable ASCII"),
        ({"extra": {"region": "uk", "requests_per_second": "fast"}}, "requests_per_second must be a number"),
        (
            {"extra": {"region": "uk", "requests_per_second": 0}},
            "requests_per_second must be a number above 0",
        ),
        ({"extra": {"region": "uk", "requests_per_second": True}}, "requests_per_second must be a number"),
        ({"extra": {"region": "uk", "timeout": "inf"}}, "timeout must be a number above 0"),
        ({"extra": {"region": "uk", "max_concurrency": 1.5}}, "whole number from 1 to 64"),
        ({"extra": {"region": "uk", "max_concurrency": 65}}, "whole number from 1 to 64"),
    ],
)
def test_a_field_that_cannot_work_is_named_and_the_key_is_not(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConnectionSettingsError) as caught:
        settings_of(
            **{"extra": {"region": "uk"} if "host" not in fields and "password" in fields else {}, **fields}
        )

    assert said in str(caught.value)
    assert str(caught.value).startswith("connection 'polyai_default': ")
    assert SECRET not in str(caught.value)
    assert caught.value.permanent


# ------------------------------------------------------------------------------ the connection test


def result_of(polyai: Emulated, conn_id: str = "polyai_default") -> tuple[bool, str]:
    with inside_a_task(polyai.runner):
        return PolyAIHook(conn_id).test_connection()


def test_a_connection_that_works_says_what_it_sees(polyai: Emulated) -> None:
    polyai.connect(account_id="demo-uk")

    works, message = result_of(polyai)

    assert works
    assert message.startswith("The key works: 3 agent(s) visible in account demo-uk")
    assert polyai.requests() == {"list agents": 1}
    assert polyai.server.journal.count("GET") == 1


def test_a_connection_without_an_account_is_not_asked_for(polyai: Emulated) -> None:
    works, message = result_of(polyai)

    assert not works
    assert "fill in the account id" in message
    assert polyai.requests() == {}


@pytest.mark.parametrize("key", ["demo-key-expired", "wrong-key-marker"])
def test_a_refused_key_is_explained_without_showing_it(polyai: Emulated, key: str) -> None:
    polyai.connect(key=key, account_id="demo-uk")

    works, message = result_of(polyai)

    assert not works
    assert message.startswith("PolyAI refused (401). Check the API key")
    assert key not in message
    assert polyai.requests() == {"list agents": 1}


def test_an_unknown_account_is_explained(polyai: Emulated) -> None:
    polyai.server.fault("answer", operation="list agents", status=404)
    polyai.connect(account_id="no-such-account")

    works, message = result_of(polyai)

    assert not works
    assert message.startswith("PolyAI refused (404). Check the API key, the account id")
    assert polyai.requests() == {"list agents": 1}


@pytest.mark.parametrize(
    ("kind", "status"), [(Unauthorized, 401), (NotFound, 404)], ids=["refused key", "unknown account"]
)
def test_a_refusal_in_a_region_names_the_region_as_a_cause(
    monkeypatch: pytest.MonkeyPatch, kind: Any, status: int
) -> None:
    class Refusing(http_client.Client):
        def send(self, call: Any) -> Any:
            raise kind("no", status=status)

    monkeypatch.setattr("airflow_voice_agents.polyai.hooks.Client", Refusing)
    runner = with_connection(extra={"region": "eu", "account_id": "demo-uk"})

    with inside_a_task(runner):
        works, message = PolyAIHook().test_connection()

    assert not works
    assert (
        "A key works only in its own region, and this connection uses eu: check the region first" in message
    )
    assert SECRET not in message


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"action": "answer", "status": 503}, "503"),
        ({"action": "reset"}, "did not answer as it should"),
        ({"action": "truncate"}, "did not answer as it should"),
        ({"action": "not_json"}, "the answer is not the expected JSON"),
        ({"action": "answer", "status": 302, "headers": {"Location": "https://sso.example.com"}}, "redirect"),
        ({"action": "answer", "status": 200, "body": {"agents": "none"}}, "could not be read"),
    ],
)
def test_trouble_on_the_way_is_told_after_one_request(
    polyai: Emulated, rule: dict[str, Any], said: str
) -> None:
    polyai.connect(account_id="demo-uk")
    polyai.server.fault(operation="list agents", times=None, **rule)

    works, message = result_of(polyai)

    assert not works
    assert said in message
    assert KEY not in message
    assert polyai.requests() == {"list agents": 1}


def test_a_host_that_no_resolver_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    runner = with_connection(host="polyai.invalid", extra={"account_id": "demo-uk"})

    with inside_a_task(runner):
        works, message = PolyAIHook().test_connection()

    assert not works
    assert "PolyAI at https://polyai.invalid did not answer as it should" in message
    assert "Name or service not known" in message
    assert SECRET not in message


def test_a_port_on_which_nobody_listens_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    runner = with_connection(host=f"http://127.0.0.1:{port}", extra={"account_id": "demo-uk"})

    with inside_a_task(runner):
        works, message = PolyAIHook().test_connection()

    assert not works
    assert "no connection" in message


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "region is missing"),
        ({"password": f"{SECRET} x", "extra": {"region": "uk"}}, "white space"),
        ({"extra": {"region": "uk", "account_id": "a/b"}}, "must not hold a slash"),
        ({"extra": "{no json"}, "the extra is not valid JSON"),
        ({"host": "http://[broken", "extra": {"account_id": "a"}}, ""),
        ({"host": "host:notaport", "port": 80, "extra": {"account_id": "a"}}, ""),
    ],
)
def test_a_malformed_connection_is_told_and_nothing_is_raised(fields: dict[str, Any], said: str) -> None:
    with inside_a_task(with_connection(**fields)):
        works, message = PolyAIHook().test_connection()

    assert not works
    assert said in message
    assert SECRET not in message


def test_a_connection_that_does_not_exist_is_told(polyai: Emulated) -> None:
    works, message = result_of(polyai, "no_such_connection")

    assert (works, polyai.requests()) == (False, {})
    assert "does not exist" in message


# ------------------------------------------------------------------------------------------ sending


def test_calls_are_sent_over_one_connection_that_is_closed_at_the_end(polyai: Emulated) -> None:
    with inside_a_task(polyai.runner), PolyAIHook() as hook:
        first = hook.send(api.list_config_pages(HOTELS))
        client = hook.client
        second = hook.send(api.list_config_pages(ROSA))

        assert hook.get_conn() is client
        assert (len(first), len(second)) == (3, 3)
        assert polyai.requests() == {PAGES: 2}
    with pytest.raises(RuntimeError, match="closed"):
        client.send(api.list_config_pages(HOTELS))
    assert polyai.requests() == {PAGES: 2}


async def test_calls_are_sent_from_async_code_with_one_client(polyai: Emulated) -> None:
    with inside_a_task(polyai.runner):
        async with PolyAIHook() as hook:
            await hook.asend(api.list_config_pages(HOTELS))
            client = hook.client
            answers = await asyncio.gather(*(hook.asend(api.list_config_pages(ROSA)) for _ in range(5)))

            assert hook.client is client
    assert [len(answer) for answer in answers] == [3] * 5
    assert polyai.requests() == {PAGES: 6}
    with pytest.raises(RuntimeError, match="closed"):
        await client.asend(api.list_config_pages(HOTELS))


async def test_calls_at_once_from_async_code_share_one_client(
    polyai: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[http_client.Client] = []

    class Counted(http_client.Client):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr("airflow_voice_agents.bases.hook.Client", Counted)
    with inside_a_task(polyai.runner):
        async with PolyAIHook() as hook:
            await asyncio.gather(*(hook.asend(api.list_config_pages(HOTELS)) for _ in range(5)))

    assert len(made) == 1
    assert polyai.requests() == {PAGES: 5}


def test_work_on_the_hooks_own_loop_sends_through_it(polyai: Emulated) -> None:
    with inside_a_task(polyai.runner), PolyAIHook() as hook:

        async def work() -> list[int]:
            pages = [await hook.asend(api.list_config_pages(agent)) for agent in (HOTELS, ROSA)]
            return [len(each) for each in pages]

        assert hook.run(work()) == [3, 3]
    assert polyai.requests() == {PAGES: 2}


def test_a_hook_that_was_never_used_resolves_and_opens_nothing(polyai: Emulated) -> None:
    with inside_a_task(polyai.runner), PolyAIHook("no_such_connection"):
        pass

    assert polyai.runner.sent == []
    assert polyai.requests() == {}


def test_an_error_names_the_call_and_never_the_key(polyai: Emulated) -> None:
    polyai.connect(key="wrong-key-marker")

    with inside_a_task(polyai.runner), PolyAIHook() as hook, pytest.raises(Unauthorized) as caught:
        hook.send(api.list_config_pages(HOTELS))

    text = str(caught.value)
    assert "list real-time configs" in text
    assert "GET /v1/agents/harbour-hotels/real-time-configs → 401" in text
    assert "correlation id" in text
    assert "wrong-key-marker" not in text + repr(caught.value) + repr(caught.value.__dict__)
    assert polyai.requests() == {PAGES: 1}


def test_the_key_is_handed_to_airflow_as_a_secret(polyai: Emulated) -> None:
    class Ask(BaseOperator):
        def execute(self, context: Any) -> int:
            with PolyAIHook() as hook:
                return len(hook.send(api.list_config_pages(HOTELS)))

    outcome = polyai.run(Ask(task_id="ask"))

    assert outcome.result == 3
    assert KEY in polyai.runner.masked
    assert KEY not in outcome.log
    assert polyai.requests() == {PAGES: 1}


# ------------------------------------------------------------------------------ the runtime host

RUNTIME_KEY = "demo-runtime-key-uk"
CONVERSATIONS = api.list_conversations("demo-uk", project_id=HOTELS, client_env=LIVE)


@pytest.fixture
def hosts(polyai: Emulated) -> Iterator[Emulated]:
    """The runtime host is another server than that of the connection."""
    with EmulatorServer() as runtime:
        polyai.connect(runtime_host=runtime.url, runtime_api_key=RUNTIME_KEY)
        polyai.runtime = runtime  # type: ignore[attr-defined]
        yield polyai


def asked(server: EmulatorServer) -> list[str | None]:
    return [entry.operation for entry in server.journal.entries()]


def test_each_call_goes_to_the_host_that_answers_it_under_that_hosts_key(hosts: Emulated) -> None:
    with inside_a_task(hosts.runner), PolyAIHook() as hook:
        pages = hook.send(api.list_config_pages(HOTELS))
        page = hook.send(CONVERSATIONS)

        assert hook.client.settings.headers == {"X-API-KEY": KEY}
        assert hook.runtime.settings.headers == {"X-API-KEY": RUNTIME_KEY}
    assert (len(pages), len(page.conversations)) == (3, 4)
    assert hosts.requests() == {PAGES: 1}
    assert asked(hosts.runtime) == ["list conversations"]  # type: ignore[attr-defined]


def test_both_hosts_are_asked_on_the_hooks_own_loop_and_both_clients_are_closed(hosts: Emulated) -> None:
    with inside_a_task(hosts.runner), PolyAIHook() as hook:

        async def work() -> tuple[int, int]:
            pages = await hook.asend(api.list_config_pages(HOTELS))
            return len(pages), len((await hook.asend(CONVERSATIONS)).conversations)

        assert hook.run(work()) == (3, 4)
        assert len(hook.send(CONVERSATIONS).conversations) == 4
        clients = [hook.client, hook.runtime]
    for client in clients:
        with pytest.raises(RuntimeError, match="closed"):
            client.send(CONVERSATIONS)


def test_the_runtime_host_alone_is_asked_and_closed(hosts: Emulated) -> None:
    with inside_a_task(hosts.runner), PolyAIHook() as hook:
        hook.send(CONVERSATIONS)
        client = hook.runtime

    with pytest.raises(RuntimeError, match="closed"):
        client.send(CONVERSATIONS)
    assert hosts.requests() == {}


async def test_both_hosts_are_asked_from_async_code(hosts: Emulated) -> None:
    with inside_a_task(hosts.runner):
        async with PolyAIHook() as hook:
            answers = await asyncio.gather(*(hook.asend(CONVERSATIONS) for _ in range(3)))
            await hook.asend(api.list_config_pages(HOTELS))
            client = hook.runtime

    assert [len(answer.conversations) for answer in answers] == [4] * 3
    assert hosts.requests() == {PAGES: 1}
    with pytest.raises(RuntimeError, match="closed"):
        await client.asend(CONVERSATIONS)


def test_without_a_key_for_the_runtime_host_nothing_is_sent_there(polyai: Emulated) -> None:
    polyai.connect(runtime_host=polyai.server.url)

    with inside_a_task(polyai.runner), PolyAIHook() as hook:
        with pytest.raises(ConnectionSettingsError, match="runtime_api_key is missing"):
            hook.send(CONVERSATIONS)
        assert len(hook.send(api.list_config_pages(HOTELS))) == 3
    assert polyai.requests() == {PAGES: 1}


def test_the_key_of_the_runtime_host_is_handed_to_airflow_as_a_secret(hosts: Emulated) -> None:
    class Ask(BaseOperator):
        def execute(self, context: Any) -> int:
            with PolyAIHook() as hook:
                return len(hook.send(CONVERSATIONS).conversations)

    outcome = hosts.run(Ask(task_id="ask"))

    masker = SecretsMasker()
    masker.sensitive_variables_fields = list(DEFAULT_SENSITIVE_FIELDS)
    for secret in hosts.runner.masked:
        masker.add_mask(secret)
    assert outcome.result == 4
    assert masker.redact(f"a log line with {RUNTIME_KEY}") == "a log line with ***"
    assert RUNTIME_KEY not in outcome.log


STORE = "redis://limiter:pass-of-the-store@127.0.0.1:1/0"


def test_the_pace_of_a_key_is_shared_below_the_airflow_home(polyai: Emulated) -> None:
    with set_supervisor_comms(polyai.runner), PolyAIHook() as hook:
        settings = hook.client.settings

    assert settings.limit_folder == f"{os.environ['AIRFLOW_HOME']}/voice-agents/limits"
    assert settings.rate_limit_store is None
    assert settings.transport == os.environ["AIRFLOW__VOICE_AGENTS__TRANSPORT"]


def test_a_store_that_is_down_fails_nothing_and_its_password_is_not_logged(
    polyai: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICE_AGENTS__RATE_LIMIT_STORE", STORE)
    task = PolyAIUpdateConfigOperator(
        task_id="update", targets=[place(HOTELS, PRE_RELEASE)], values={"holiday_message": "closed"}
    )
    outcome = polyai.run(task)

    assert outcome.state == "success", outcome.error
    assert outcome.log.count("does not answer") == 1
    assert "127.0.0.1:1 ([voice_agents] rate_limit_store)" in outcome.log
    assert "pass-of-the-store" not in outcome.log


def test_a_store_of_another_kind_is_refused_before_anything_is_sent(
    polyai: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICE_AGENTS__RATE_LIMIT_STORE", "memcached://:pass-of-the-store@host")
    task = PolyAIUpdateConfigOperator(
        task_id="update", targets=[place(HOTELS, PRE_RELEASE)], values={"holiday_message": "closed"}
    )
    outcome = polyai.run(task)

    assert isinstance(outcome.error, ConnectionSettingsError)
    assert "[voice_agents] rate_limit_store" in str(outcome.error)
    assert "pass-of-the-store" not in outcome.log + str(outcome.error)
    assert polyai.requests() == {}
