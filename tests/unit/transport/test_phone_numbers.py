"""Phone numbers as people write them: read digit by digit, or refused with a reason; never invented."""

from __future__ import annotations

import json
import sys
from datetime import date

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.phone_numbers import NotANumber, check_region, read_number
from airflow_voice_agents.transport.validation import parse_number_keys, parse_numbers, parse_phone_number
from support.json_values import bounded

LONDON = "+442079460018"
REGIONS = ("GB", "US", "DE", "DK", "IT", "FR", "AU")
WRITTEN = st.text(alphabet="+0123456789 .-()x/,;\u00a0\u2011aE", max_size=24)


@pytest.fixture
def no_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)


@pytest.mark.parametrize(
    "text",
    [
        LONDON,
        "+44 20 7946 0018",
        "+44-20-7946-0018",
        "+44.20.7946.0018",
        "+44 (20) 7946 0018",
        "+44 (0)20 7946 0018",
        "+44\u00a020\u202f7946\u20110018",
        "  +44 20 7946 0018 ",
        "0044 20 7946 0018",
        "00442079460018",
        "00 44 (20) 7946-0018",
    ],
)
def test_a_number_with_separators_is_what_its_digits_say(text: str) -> None:
    assert read_number(text) == LONDON
    assert read_number(text, "GB") == LONDON
    assert parse_phone_number(text) == LONDON


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("020 7946 0018", "GB", LONDON),
        ("(020) 7946-0018", "GB", LONDON),
        ("01632 960001", "GB", "+441632960001"),
        ("442079460018", "GB", LONDON),
        ("(206) 555-0100", "US", "+12065550100"),
        ("1-206-555-0100", "US", "+12065550100"),
        ("206.555.0100", "US", "+12065550100"),
        ("011 44 20 7946 0018", "US", LONDON),
        ("0011 44 20 7946 0018", "AU", LONDON),
        ("06 6982 0000", "IT", "+390669820000"),
        ("01 42 68 53 00", "FR", "+33142685300"),
        ("030 123456", "DE", "+4930123456"),
        ("32 12 34 56", "DK", "+4532123456"),
    ],
)
def test_a_number_in_national_form_is_read_by_its_region(text: str, region: str, number: str) -> None:
    assert read_number(text, region) == number


REFUSED = [
    ("442079460018.0", "a decimal point"),
    ("+442079460018.0", "a decimal point"),
    ("4.42079E+11", "letters"),
    ("020 7946 0018 x204", "an extension"),
    ("020 7946 0018 ext. 204", "an extension"),
    ("+44 20 7946 0018 #204", "an extension"),
    ("020 7946 0018;ext=204", "an extension|letters"),
    ("tel:+442079460018", "letters"),
    ("call 020 7946 0018", "letters"),
    ("0800 FLOWERS", "letters"),
    ("SW1A 2AA", "letters"),
    ("ORD-2024-10293", "letters"),
    ("020 7946 0018 / 020 7946 0019", "several numbers"),
    ("+442079460018 +442079460019", "several numbers"),
    ("+442079460018,+442079460019", "several numbers"),
    ("020 7946 0018\n020 7946 0019", "several numbers"),
    ("020 7946 0018 020 7946 0019", "no country code"),
    ("+44 20 7946 0018-19", "more or fewer digits"),
    ("2026-11-26", "a date"),
    ("26.11.2026", "a date"),
    ("11-26-2026", "a date"),
    ("26/11/2026", "several numbers"),
    ("2026-11-26 09:00", "other characters"),
    ("10115", ""),
    ("90210", ""),
    ("4500123456", ""),
    ("10293847", ""),
    ("0012345678", "00 and is in no numbering plan|more or fewer"),
    ("1000234567", ""),
    ("-442079460018", "other characters"),
    (".442079460018", "a decimal point"),
    ("+44 20 7946 001\u0661", "other characters"),
    ("\u202a+442079460018\u202c", "other characters"),
    ("+44 (20 7946 0018", "other characters"),
    ("+4402079460018", "more or fewer digits"),
    ("+1206555010", "more or fewer digits"),
    ("+", "7 to 15 digits|other characters"),
    ("", "empty"),
    (" ", "empty"),
    (442079460018, "quotes"),
    (442079460018.0, "quotes"),
    (True, "quotes"),
    (None, "NoneType"),
    (b"+442079460018", "bytes"),
    ("1" * 500, ""),
]


@pytest.mark.parametrize("region", [None, "GB", "US", "DE", "DK"])
@pytest.mark.parametrize(("value", "reason"), REFUSED)
def test_what_is_not_surely_one_number_is_refused(value: object, reason: str, region: str | None) -> None:
    if (value, region) == ("10293847", "DK"):
        pytest.skip("Danish numbers have eight digits and no prefix")
    with pytest.raises(NotANumber) as caught:
        read_number(value, region)
    if reason and region is None:
        assert any(part in str(caught.value) for part in reason.split("|"))
    assert not isinstance(value, str) or len(value) < 8 or value not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "region", "reason"),
    [
        ("2079460018", "GB", "lacks the 0 in front"),
        ("020 7946 0018", None, "has no country code"),
        ("0044 20 7946 0018", "JP", "JP"),
        ("011 15-2345-6789", "AR", "its digits would change"),
        ("+44 20 (0)7946 0018", None, "more or fewer digits"),
    ],
)
def test_a_number_is_not_completed_or_changed(text: str, region: str | None, reason: str) -> None:
    with pytest.raises(NotANumber, match=reason):
        read_number(text, region)


@bounded(1000)
@given(WRITTEN, st.sampled_from([None, *REGIONS]))
def test_the_digits_sent_are_the_digits_given_but_for_prefixes(text: str, region: str | None) -> None:
    try:
        number = read_number(text, region)
    except NotANumber:
        return
    given_digits = "".join(filter(str.isdigit, text))
    parsed = phonenumbers.parse(number)
    national = phonenumbers.national_significant_number(parsed)
    assert number == f"+{parsed.country_code}{national}"
    assert given_digits.endswith(national)
    assert not any(character.isalpha() for character in text)
    assert text.count(".") != 1
    assert text.count("+") <= 1


@bounded(500)
@given(st.from_regex(r"[0-9]{4,12}\.[0-9]{1,3}", fullmatch=True), st.sampled_from([None, *REGIONS]))
def test_no_decimal_is_a_number(text: str, region: str | None) -> None:
    with pytest.raises(NotANumber):
        read_number(text, region)


@bounded(500)
@given(st.text(max_size=12), st.characters(categories=["L"]), st.text(max_size=12))
def test_no_text_with_a_letter_is_a_number(before: str, letter: str, after: str) -> None:
    for region in (None, "GB"):
        with pytest.raises(NotANumber):
            read_number(f"{before}{letter}{after}", region)


@bounded(200)
@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)))
def test_no_date_is_a_number(day: date) -> None:
    for spelled in (
        f"{day:%Y-%m-%d}",
        f"{day:%d.%m.%Y}",
        f"{day:%d-%m-%Y}",
        f"{day:%d/%m/%Y}",
        f"{day:%Y.%m.%d}",
    ):
        for region in (None, *REGIONS):
            with pytest.raises(NotANumber):
                read_number(spelled, region)


# ------------------------------------------------------------------------------------------- region


def test_a_region_is_checked_in_either_case() -> None:
    assert check_region("gb") == check_region("GB") == "GB"


@pytest.mark.parametrize("region", ["XX", "", "UK", "United Kingdom", "44", None, 44, "001"])
def test_a_wrong_region_is_one_error_about_the_region(region: object) -> None:
    with pytest.raises(InputError, match=r"^default_region must be the two letters of a region") as caught:
        check_region(region)
    assert caught.value.permanent
    assert ("is GB" in str(caught.value)) == (region == "UK")


def test_without_the_extra_a_region_is_refused_with_the_remedy(no_plans: None) -> None:
    with pytest.raises(
        InputError, match=r"pip install 'airflow-provider-voice-agents\[phonenumbers\]'"
    ) as caught:
        check_region("GB")
    assert caught.value.permanent


def test_without_the_extra_only_what_needs_no_plan_is_read(no_plans: None) -> None:
    assert read_number("+44 20 7946 0018") == LONDON
    for text in ("0044 20 7946 0018", "+44 (0)20 7946 0018"):
        with pytest.raises(NotANumber, match="pip install"):
            read_number(text)


# -------------------------------------------------------------------------------- lists and mappings


def test_every_wrong_number_is_named_with_its_place_and_reason() -> None:
    with pytest.raises(InputError) as caught:
        parse_numbers([LONDON, "020 7946 0018 x204", {"number": "442079460018.0"}])
    assert str(caught.value) == (
        "phone_numbers holds 2 number(s) that are not E.164 ('+' and 7 to 15 digits): '020 7946 0018 x204', "
        "'442079460018.0'. Nothing was sent. Correct them: phone_numbers[1] has an extension, which cannot be sent; "
        "remove it, phone_numbers[2] has a decimal point; format the column as text."
    )


def test_two_spellings_of_one_number_are_one() -> None:
    assert parse_numbers([LONDON, "+44 20 7946 0018", "00442079460018"]) == (LONDON,)
    assert parse_numbers(json.dumps(["+44 20 7946 0018"])) == (LONDON,)
    assert parse_numbers("+44 20 7946 0018, +44 20 7946 0019\n") == (LONDON, "+442079460019")


def test_a_mapping_by_number_keeps_its_values_and_refuses_two_spellings() -> None:
    assert parse_number_keys({"+44 20 7946 0018": 1, "+12065550100": 2}, name="routes") == {
        LONDON: 1,
        "+12065550100": 2,
    }
    with pytest.raises(InputError, match=r"^routes must name each only once, and repeats \+442079460018"):
        parse_number_keys({"+44 20 7946 0018": 1, LONDON: 2}, name="routes")
    with pytest.raises(InputError, match="routes key 2 has letters"):
        parse_number_keys({LONDON: 1, "SW1A 2AA": 2}, name="routes")


def test_a_number_of_a_person_is_not_shown() -> None:
    with pytest.raises(InputError) as caught:
        parse_phone_number("020 7946 0018 x204", name="to_number", private=True)
    assert "7946" not in str(caught.value)
    assert "has an extension" in str(caught.value)


@pytest.mark.parametrize("text", ['["+442079460018", "+442079460018"', '[{"number": 1, "number": 2}]'])
def test_a_text_that_is_not_strict_json_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^phone_numbers looks like JSON and is not.*tojson"):
        parse_numbers(text)
