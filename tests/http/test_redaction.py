"""Secrets are found in every encoding, and nothing else is."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cd.http.redaction import Redactor, shown_address, user_info_of

SECRET = 'pä$$"word/+ \\x'
_secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=30).filter(
    lambda text: len(set(text)) > 3 and text.strip()
)


@pytest.mark.parametrize(
    "encoded",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower().replace("pä", "pä"),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        repr(SECRET)[1:-1],
        ascii(SECRET)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_a_secret_is_found_however_it_is_written(encoded: str) -> None:
    assert Redactor([SECRET])(f"before {encoded} after") == "before *** after"


@settings(deadline=None)
@given(_secrets, st.binary(max_size=7), st.binary(max_size=7))
def test_a_secret_is_found_inside_of_base64(secret: str, before: bytes, after: bytes) -> None:
    data = secret.encode()
    encoded = base64.b64encode(before + data + after).decode()
    shown = Redactor([secret])(encoded)
    assert "***" in shown
    # What is left around it cannot be decoded to more than the letters at its ends.
    assert len(shown) - 3 <= len(encoded) - len(data)


def test_the_longest_secret_goes_first() -> None:
    assert Redactor(["abc", "abcdef"])("abcdef abc") == "*** ***"


def test_nothing_is_no_secret() -> None:
    assert Redactor([None, ""])("all of it") == "all of it"
    assert Redactor()("all of it") == "all of it"


def test_a_short_secret_is_not_looked_for_in_base64() -> None:
    assert Redactor(["a"])("YQ YW b") == "YQ YW b"


def test_a_secret_may_have_a_replacement_of_its_own() -> None:
    redact = Redactor(["geheim"], {"https://x/y?token=1": "https://x/y"})
    assert redact("fatal: https://x/y?token=1 wants geheim") == "fatal: https://x/y wants ***"


@pytest.mark.parametrize("user", ["ada:pw@", "ada@", "ada:p@w@", "ada:p%40w@"])
def test_user_and_password_of_any_url_are_removed(user: str) -> None:
    assert Redactor()(f"cannot read https://{user}git.example.com/shop@v1 now") == (
        "cannot read https://git.example.com/shop@v1 now"
    )


def test_a_line_is_short_printable_and_redacted_before_it_is_cut() -> None:
    redact = Redactor(["sec\nret-of-many-letters"])
    assert redact.line("a\x1b[31m  b\n\tc\u202ed") == "a [31m b c d"
    assert redact.line("x" * 20 + "sec\nret-of-many-letters", 24) == "x" * 20 + "***"
    assert redact.line("x" * 30, 10) == "x" * 9 + "…"


def test_a_redactor_does_not_show_what_it_hides() -> None:
    assert "geheim" not in repr(Redactor(["geheim"]))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://ada:pw@x.example/shop.git?token=1#f", "https://x.example/shop.git"),
        ("git@x.example:shop.git", "git@x.example:shop.git"),
        ("/srv/shop.git", "/srv/shop.git"),
        ("https://[half", "an address that cannot be read"),
    ],
)
def test_an_address_is_shown_without_secrets(address: str, shown: str) -> None:
    assert shown_address(address) == shown


def test_the_secrets_of_an_address() -> None:
    assert user_info_of("https://ada:pw@x/") == ("ada:pw", "pw")
    assert user_info_of("https://[half") == user_info_of(None) == user_info_of("x.example") == ()


@pytest.mark.parametrize(
    "echoed",
    [
        "Authorization: Basic YTpi",
        "{'Authorization': 'Basic YTpi'}",
        '{"authorization":"Basic YTpi"}',
        "authorization=Basic%20YTpi",
        "Authorization: Bearer some-token.of~somebody",
        "Authorization: somethingelse",
    ],
)
def test_an_echoed_authorization_is_removed_known_or_not(echoed: str) -> None:
    shown = Redactor()(f"got {echoed} from you")
    assert "YTpi" not in shown
    assert "some" not in shown
    assert shown.startswith("got ")
    assert shown.endswith("from you")


def test_basic_credentials_are_found_whatever_their_length() -> None:
    for login, password in (("a", "b"), ("ab", "c"), ("shop", "x")):
        token = base64.b64encode(f"{login}:{password}".encode()).decode()
        assert token not in Redactor([f"{login}:{password}"])(f"the header held {token} and more")


def test_base64_is_found_percent_encoded() -> None:
    secret = "~~~???>>>~~~"
    token = base64.b64encode(secret.encode()).decode()
    assert {"/", "+"} & set(token)
    shown = Redactor([secret])(f"?key={quote(token, safe='')}&x=1")
    assert quote(token, safe="")[:8] not in shown


def test_words_about_authorization_stay() -> None:
    text = "basic authentication failed: authorization required, authorization: ***"
    assert Redactor()(text) == text
