"""Secrets: known formats by form and checksum, others by their name, and what only stands for one passes."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Action, GuardItem, Stage
from guardrails import Secrets

BODY = "q8Zr2LmN5tYw7XcV4bHk9PdS3fGj6"


def look(text, **fields):
    return Secrets(**fields).check_text(text, GuardItem(stage=Stage.RUN_OUTPUT, value=text))


def checked(body):
    digits, check = "", zlib.crc32(body.encode())
    while check:
        check, rest = divmod(check, 62)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[rest] + digits
    return f"ghp_{body}{digits.rjust(6, '0')}"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("id AKIA" + "Q3EGRTY7KLMNBVC5 here", "AWS_KEY"),
        (checked(f"{BODY}A"), "GITHUB_TOKEN"),
        ("sk-ant-api03-" + BODY * 3, "ANTHROPIC_KEY"),
        ("xoxb-" + "123456789012-" + BODY, "SLACK_TOKEN"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\ndef\n-----END RSA PRIVATE KEY-----", "PRIVATE_KEY"),
        ("postgresql://ann:s3cr3tpw@db.example.org/x", "LOGIN"),
        ("Authorization: Bearer " + BODY, "AUTHORIZATION"),
        (f'password = "{BODY}"', "SECRET"),
        (f"MY_API_KEY={BODY}", "SECRET"),
        (f'{{"client_secret": "{BODY}"}}', "SECRET"),
    ],
)
def test_a_secret_is_masked_by_its_kind(text, label):
    verdict = look(text)
    assert [span.label for span in verdict.spans] == [label]
    masked = verdict.applied_to(text)
    assert f"[{label}]" in masked
    assert BODY not in masked
    assert BODY not in verdict.reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        checked(f"{BODY}A")[:-1] + "0",  # the checksum is wrong
        "AKIAIOSFODNN7EXAMPLE",
        "api_key = your_api_key_here_123",
        "password: ${DB_PASSWORD}",
        "token = os.environ['GITHUB_TOKEN2']",
        "the token budget is 4096 and the key is question",
        "postgresql://user:password@localhost/x",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "5f4dcc3b-5aa7-65d6-1d83-27deb882cf99",
    ],
)
def test_what_only_looks_like_one_passes(text):
    assert look(text).action is Action.ALLOW


def test_a_value_that_is_allowed_stays():
    assert look(f"MY_API_KEY={BODY}", allow=[BODY]).action is Action.ALLOW


@given(st.text(alphabet="abkeytokn:='\"/@.-_AKIA09 \n\ud800\u200b", max_size=400))
def test_any_text_is_read_and_masking_leaves_nothing_to_mask(text):
    verdict = look(text)
    for span in verdict.spans:
        assert 0 <= span.start < span.end <= len(text)
