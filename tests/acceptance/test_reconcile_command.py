"""`flowledger cost reconcile` puts a provider's export beside the ledger, and says what explains a difference."""

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reports.invoice import bare
from engine.store.database import Database
from engine.store.ledger import SqlLedger
from tests.contract.test_costs import NOW, call, run

TODAY = datetime.now(UTC).date().isoformat()
OPENAI = f"""start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id
1,2,{TODAY}T00:00:00+00:00,{TODAY}T23:59:00+00:00,0.000010,usd,"scripted-2026-01-31, input",proj_ours
1,2,{TODAY}T00:00:00+00:00,{TODAY}T23:59:00+00:00,0.000005,usd,"scripted-2026-01-31, output",proj_ours
1,2,{TODAY}T00:00:00+00:00,{TODAY}T23:59:00+00:00,3.5,usd,"gpt-4o, input",proj_theirs
"""
ANTHROPIC = (
    "usage_date_utc,model_version,api_key,usage_input_tokens_no_cache,usage_input_tokens_cache_read,"
    f"usage_output_tokens\n{TODAY},scripted,key,6,4,5\n"
)


@pytest.fixture
def paid(flowledger, tmp_path):
    """Give what puts an export beside a ledger with one call of 15 tokens and 0.000015 USD."""
    assert flowledger("run", "say", "question=q").code == 0

    def put_beside(text: str, *options: str):
        (tmp_path / "invoice.csv").write_text(text)
        return flowledger("cost", "reconcile", "--invoice", "invoice.csv", *options)

    return put_beside


def test_an_export_of_openai_agrees_for_the_own_project(paid):
    agreed = paid(OPENAI, "--where", "project_id=proj_ours", "--json")
    assert agreed.code == 0
    (row,) = json.loads(agreed.out)["rows"]
    assert (row["day"], row["model"], row["difference"], row["within"]) == (TODAY, "scripted", "0.000000000", True)


def test_what_other_keys_spent_is_told_and_the_exit_code_says_so(paid):
    told = paid(OPENAI)
    assert told.code == 1
    assert "agrees" in told.out
    assert "the ledger has no call of it: other keys or programs" in told.out


def test_an_export_of_anthropic_without_cost_is_put_beside_tokens(paid):
    agreed = paid(ANTHROPIC, "--json")
    assert agreed.code == 0
    found = json.loads(agreed.out)
    assert (found["unit"], found["rows"][0]["ours"], found["rows"][0]["theirs"]) == ("tokens", "15", "15")


def test_costs_and_usage_of_anthropics_console_are_read_as_they_are(flowledger, tmp_path):
    """Their columns as platform.claude.com writes them, with the name of a model as people say it."""

    async def write():
        ledger = SqlLedger(Database.open(f"sqlite:///{tmp_path}/runs.db", migrate=True))
        of_claude = {"provider_name": "anthropic", "usage_input_tokens": 10, "usage_output_tokens": 5}
        models = ("claude-haiku-4-5-20251001", "claude-3-5-sonnet-20241022")
        asked = [call(1, number, request_model=name, **of_claude) for number, name in enumerate(models)]
        elsewhere = call(2, 9, request_model=models[0], **of_claude)
        await ledger.commit([run(1), *asked, run(2, origin="import"), elsewhere])
        await ledger.close()

    asyncio.run(write())
    day = NOW.date().isoformat()
    of_haiku = f"{day},Claude Haiku 4.5,Default,key,message,≤ 200k"
    costs = (
        "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type,"
        "inference_geo,speed,api_key_id,api_key_status\n"
        f"{of_haiku},input_no_cache,0.4,0.4,token,not_available,,apikey_1,active\n"
        f"{of_haiku},output,0.6,0.6,token,not_available,,apikey_1,active\n"
        f"{day},Claude 3.5 Sonnet 2024-10-22,,key,message,≤ 200k,output,1,1,token,not_available,,apikey_1,active\n"
    )
    usage = (
        "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
        "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
        "usage_output_tokens,web_search_count,inference_geo,speed\n"
        f"{day},claude-haiku-4-5-20251001,key,Default,standard,≤ 200k,4,1,2,3,5,0,not_available,\n"
        f"{day},claude-3-5-sonnet-20241022,key,Default,standard,≤ 200k,10,0,0,0,5,0,not_available,\n"
    )
    for text, unit, theirs in ((costs, "USD", "1"), (usage, "tokens", "15")):
        (tmp_path / "anthropic.csv").write_text(text, encoding="utf-8")
        agreed = flowledger("cost", "reconcile", "--invoice", "anthropic.csv", "--json")
        found = json.loads(agreed.out)
        assert (agreed.code, found["unit"]) == (0, unit), "the imported call is not ours to pay for"
        rows = {row["model"]: (row["theirs"].removesuffix(".0"), row["within"]) for row in found["rows"]}
        assert rows == {"claude-haiku-4-5": (theirs, True), "claude-sonnet-3-5": (theirs, True)}


def test_an_export_by_day_alone_is_put_beside_all_models(paid):
    assert paid(f"date,model,cost\n{TODAY},,0.000015\n").code == 0
    assert paid(f"date,model,cost\n{TODAY},,0.00002\n", "--tolerance", "0.5").code == 0
    more = paid(f"date,model,cost\n{TODAY},,0.00002\n")
    assert (more.code, "a price that is too low" in more.out) == (1, True)


def test_calls_of_unknown_cost_explain_what_is_within_what_is_held_for_them(paid, tmp_path):
    export = f"Tag,Name,Summe\n{TODAY},scripted,$0.000025\n"
    columns = [part for pair in ("day=Tag", "model=Name", "usd=Summe") for part in ("--column", pair)]
    assert "other keys or programs, or a price" in paid(export, *columns).out
    with closing(sqlite3.connect(tmp_path / "runs.db")) as ledger:
        ledger.execute("UPDATE calls SET cost_nano_usd = NULL, charged_nano_usd = 30000, status = 'unknown'")
        ledger.commit()
    told = paid(export, *columns, "--json")
    assert told.code == 1
    (row,) = json.loads(told.out)["rows"][:1]
    assert (row["unknown"], row["in_flight"], row["ours"]) == (1, 1, "0.000000000")
    assert row["why"] == "1 calls of unknown usage, 1 of them cut off"


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("a,b\n1,2\n", (), "invoice.csv has no column 'day': name it, as in --column day=NAME, of a, b"),
        ("date,model\n1,2\n", (), "invoice.csv has no column with an amount"),
        (f"date,model,cost\n{TODAY},m,much\n", (), "invoice.csv, line 2: 'much' is no amount"),
        ("date,model,cost\nyesterday,m,1\n", (), "invoice.csv, line 2: 'yesterday' is no day like 2026-01-31"),
        (OPENAI, ("--where", "key=1"), "--where key: invoice.csv has the columns start_time"),
        (OPENAI, ("--where", "project_id"), "--where 'project_id': write NAME=VALUE"),
        (OPENAI, ("--column", "price=x"), "--column price: name day, model or usd"),
        ("", (), "invoice.csv is empty"),
        (f"date,model,cost\n{TODAY},m\n", (), "line 2 has fewer values than there are columns"),
    ],
)
def test_a_wrong_file_or_option_gets_one_sentence(paid, text, options, sentence):
    wrong = paid(text, *options)
    assert (wrong.code, wrong.out) == (2, "")
    assert sentence in wrong.err
    assert len(wrong.err.strip().splitlines()) == 1


def test_a_file_that_is_not_there_is_said(flowledger):
    said = flowledger("cost", "reconcile", "--invoice", "nowhere.csv").err
    assert "the invoice nowhere.csv cannot be read: No such file or directory\n" in said


@given(st.sampled_from(["gpt-4o", "claude-sonnet-4-5"]), st.sampled_from(["", "-2026-01-31", "-20260131", "@20260131"]))
def test_a_model_is_the_same_with_and_without_the_date_of_its_snapshot(name, snapshot):
    assert bare(f"{name}{snapshot}") == bare(f"openai/{name.upper()}{snapshot}, cached input") == name
