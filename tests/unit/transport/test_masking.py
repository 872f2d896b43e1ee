"""Masks by name and inside URLs: what is masked, and what stays readable."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.transport.masking import DECODINGS, is_sensitive, mask_credentials
from airflow_voice_agents.transport.redaction import MASK
from support.json_values import bounded

# ----------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name",
    ["apiKey", "API-Key", "X-Api-Key", "accessToken", "privateKey", "PRIVATEKEY", "serviceAccountJson"],
)
def test_names_are_sensitive_in_any_spelling(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize(
    "name", ["needs_number", "key", "monkey", "greeting", "prompt", "auth", "", "_", "0"]
)
def test_other_names_are_not_sensitive(name: str) -> None:
    assert not is_sensitive(name)
    assert not is_sensitive(name, ("", " ", "-"))


@pytest.mark.parametrize("more", [("door_code",), ("Door Code",), ("x", " door-code ")])
def test_a_deployment_may_have_more_of_them(more: tuple[str, ...]) -> None:
    assert is_sensitive("front-door-code", more)
    assert is_sensitive("frontDoorCode", more)
    assert not is_sensitive("front_door", more)


def test_the_verdict_on_a_very_long_name_is_not_kept_and_the_same() -> None:
    assert is_sensitive("x" * 10_000 + "token")
    assert not is_sensitive("x" * 10_000)


# ------------------------------------------------------------------------------------------ URLs


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://ann:secret@a.example/x", "https://ann:***@a.example/x"),
        ("https://secret@a.example", "https://***@a.example"),
        ("https://:secret@a.example", "https://***@a.example"),
        ("https://secret:@a.example", "https://***@a.example"),
        ("https://sk_live_0123456789:x@a.example", "https://***@a.example"),
        ("//ann:secret@a.example", "//ann:***@a.example"),
        (
            "postgresql+psycopg://ann:se@cr:et@db.example:5432/x",
            "postgresql+psycopg://ann:***@db.example:5432/x",
        ),
        ("https://ann:se/cret@a.example/x", "https://ann:***@a.example/x"),
        ("https://ann:se@cr/et@a.example/x", "https://ann:***@a.example/x"),
        ("https://ann:secret@a.example,https://b:secret@c", "https://ann:***@a.example,https://b:***@c"),
        ("https://ann:se?cr#et@a.example/x", "https://ann:***@a.example/x"),
        (r"https:\/\/ann:secret@a.example", r"https:\/\/ann:***@a.example"),
        ("sip:ann:secret@pbx.example", "sip:ann:***@pbx.example"),
        ("SIPS:ann:secret@pbx.example", "SIPS:ann:***@pbx.example"),
        (
            "Call https://ann:secret@a.example, or sip:b:secret@c",
            "Call https://ann:***@a.example, or sip:b:***@c",
        ),
        (
            "https://a.example/?to=https://ann:secret@b.example",
            "https://a.example/?to=https://ann:***@b.example",
        ),
        ("https://a.example/x?a=1&api_key=secret&b=2", "https://a.example/x?a=1&api_key=***&b=2"),
        ("https://a.example/x?api%5Fkey=secret", "https://a.example/x?api_key=***"),
        ("https://a.example/x?key=secret;more", "https://a.example/x?key=***"),
        ("https://a.example/x?X-Amz-Signature=secret", "https://a.example/x?X-Amz-Signature=***"),
        ("https://a.example/x?sig=secret&sv=1", "https://a.example/x?sig=***&sv=1"),
        ("https://a.example/#access_token=secret", "https://a.example/#access_token=***"),
        ("/relative?token=secret", "/relative?token=***"),
        ("redis.example:6380,password=secret,ssl=True", "redis.example:6380,password=***"),
        ("Server=a;Password=secret", "Server=a;Password=***"),
        ("https://a.example/x?pin=secret", "https://a.example/x?pin=***"),
        ("https://a.example/x;jsessionid=secret", "https://a.example/x;jsessionid=***"),
        ("https://a.example/x?t=Zm9vYmFy0123456789", "https://a.example/x?t=***"),
        ("jdbc:oracle:thin:ann/secret@a.example:1521/x", "jdbc:oracle:thin:ann/***@a.example:1521/x"),
        ("https://hooks.slack.com/services/T0/B0/secret", "https://hooks.slack.com/services/***"),
        ("https://discord.com/api/webhooks/123/secret", "https://discord.com/api/webhooks/123/***"),
        ("https://api.telegram.org/bot123:secret/sendMessage", "https://api.telegram.org/bot***"),
    ],
)
def test_credentials_are_masked(text: str, masked: str) -> None:
    assert mask_credentials(text) == masked
    assert mask_credentials(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example/x?page=2#top",
        "https://a.example/x?agent=harbour-hotels-uk-2&id=5b1c2d3e-0000-4000-8000-000000000000",
        "https://a.example:8443/@ann",
        "http://[::1]:8080/@ann",
        "ann@a.example",
        "mailto:ann@a.example",
        "sip:ann@pbx.example",
        "sip:pbx.example:5060",
        "https://***@a.example/x?k=***",
        "100% of 2 + 2 = 4 // comment @ work",
        "key=value",
        "Grüße%20an%20alle",
        "",
    ],
)
def test_everything_else_stays_as_it_is(text: str) -> None:
    assert mask_credentials(text) == text


@pytest.mark.parametrize("layers", range(DECODINGS + 3))
@pytest.mark.parametrize("plain", ["https://ann:secret@a.example", "https://a.example/?token=secret"])
def test_percent_encoding_hides_nothing(plain: str, layers: int) -> None:
    text = plain
    for _ in range(layers):
        text = quote(text, safe="")
    shown = mask_credentials(f"at https://b.example/?next={text}")
    assert "secret" not in shown
    assert MASK in shown


@bounded(300)
@given(
    st.text("abAB01-._~!$'()*+,;:@/?#%\\\"<>[]{}|^`é", min_size=1, max_size=20),
    st.sampled_from(["https://ann:x{}hunter2@a.example", "https://a.example/?token={}hunter2"]),
)
def test_signs_in_a_password_do_not_end_it(signs: str, url: str) -> None:
    """They should have been encoded, and often are not."""
    signs = signs.replace("://", "") if "ann" in url else signs.replace("&", "")
    assert "hunter2" not in mask_credentials(f"see {url.format(signs)} for more")


@bounded(300)
@given(st.text("ab:/@?&=#;%25 \\sip.", max_size=40))
def test_a_masked_text_is_not_masked_again(text: str) -> None:
    once = mask_credentials(text)
    assert mask_credentials(once) == once


@pytest.mark.parametrize(
    "piece",
    [
        "//a:b",
        "//",
        "@",
        "=",
        "a=b&",
        "a=b;",
        "%25",
        "sip:a",
        "sip:",
        "a",
        "/a?",
        "token",
        ":thin:",
        "hook/",
        "?a=A0",
    ],
)
def test_a_huge_text_of_one_word_takes_linear_time(piece: str) -> None:
    """A quadratic search would need hours for these."""
    text = "//x" + piece * (1_000_000 // len(piece)) + "=@"
    assert len(mask_credentials(text)) <= len(text) + 10
