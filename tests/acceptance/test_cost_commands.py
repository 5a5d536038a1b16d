"""What things cost, from the command line: reports, prices of one's own, past calls priced anew, estimates."""

import asyncio
import csv
import io
import json
from xml.etree import ElementTree

import pytest

from engine.reports import thinning
from engine.store.database import Database
from engine.store.ledger import SqlLedger
from tests.contract.test_costs import call, run


@pytest.fixture
def spent(flowledger):
    """Run something for two tenants, one of them with markup in its name."""
    flowledger("run", "say", "question=q", "--tenant", "acme")
    flowledger("run", "say", "question=q", "--tenant", "<b>[red]&x")
    flowledger("run", "nonsense", "question=q")
    return flowledger


def test_csv_and_json_say_the_same(spent):
    for options in (["--by", "tenant,use"], ["--by", "outcome"]):
        plain = json.loads(spent("cost", *options, "--json").out)
        rows = list(csv.DictReader(io.StringIO(spent("cost", *options, "--csv").out)))
        assert rows == [{name: "" if value is None else str(value) for name, value in row.items()} for row in plain]


def test_csv_has_its_headings_where_there_is_nothing(flowledger):
    assert flowledger("cost", "--by", "day", "--csv").out.startswith("day,runs,succeeded,successes,calls,")


def test_the_table_says_what_was_wasted(spent):
    shown = spent("cost", "--by", "tenant").out
    assert "<b>[red]&x" in shown
    assert "wasted: " in shown
    assert "failed run" in shown
    assert {row["use"] for row in json.loads(spent("cost", "--by", "use", "--json").out)} == {"answer", "failed run"}


@pytest.fixture
def many(flowledger, monkeypatch, tmp_path):
    """Write down more runs than are all read: 64 with a call each, which costs $9 in one of four and else $1."""

    async def write():
        ledger = SqlLedger(Database.open(f"sqlite:///{tmp_path}/runs.db", migrate=True))
        costs = [(9 if number % 4 == 3 else 1) * 10**9 for number in range(64)]
        records = [[run(number), call(number, 1, cost_nano_usd=cost)] for number, cost in enumerate(costs)]
        await ledger.commit([record for both in records for record in both])
        await ledger.close()

    asyncio.run(write())
    monkeypatch.setattr(thinning, "MOST_RUNS_BY_CALL", 16)
    return flowledger


def test_many_runs_are_estimated_and_the_output_says_so_and_how_surely(many):
    (row,) = json.loads(many("cost", "--by", "model", "--json").out)
    assert (row["one_in"], row["runs"], row["margin"] > 0) == (4, 256, True), "ids of a test do not come by chance"
    shown = many("cost", "--by", "model").out
    assert "the table is estimated from 1 in 4 runs; the dearest row is known to ±" in shown
    assert "(--exact reads all)" in shown


def test_exact_costs_are_those_of_every_run(many):
    for by in ("model", "node", "use", "workflow,model"):
        (row,) = json.loads(many("cost", "--exact", "--by", by, "--json").out)
        counted = (row["runs"], row["calls"], row["cost_usd"], row["one_in"], row["margin"])
        assert counted == (64, 64, "192", 1, 0.0)
    (line,) = csv.DictReader(io.StringIO(many("cost", "--exact", "--by", "model", "--csv").out))
    assert (line["cost_usd"], line["one_in"]) == ("192", "1")
    shown = many("cost", "--exact", "--by", "model").out
    assert "estimated" not in shown
    assert "--exact" not in shown


def test_exact_is_refused_where_every_run_is_read_anyway(many):
    said = many("cost", "--per-outcome", "--exact")
    assert (said.code, "--per-outcome reads every run" in said.err) == (2, True)


def test_routes_show_which_models_were_asked_and_what_that_saved(flowledger):
    assert "no step had a choice" in flowledger("routes").err + flowledger("routes").out
    for _ in range(2):
        flowledger("run", "climbs", "question=q")
    (row,) = json.loads(flowledger("routes", "--json").out)
    assert (row["route"], row["steps"], row["share"], row["succeeded"]) == ("good", 2, 1.0, 2)
    assert float(row["saved_usd"]) == pytest.approx(9 * float(row["cost_usd"]))
    shown = flowledger("routes", "--since", "1d").out
    assert "climbs" in shown
    assert "100.0%" in shown
    assert "saved: routing $0.00" in flowledger("cost").out


def test_bars_are_shown_and_written_as_svg_that_stands_alone(spent, tmp_path):
    shown = spent("cost", "--by", "tenant", "--plot", "--svg", str(tmp_path / "cost.svg")).out
    assert "█" in shown
    drawn = ElementTree.parse(tmp_path / "cost.svg").getroot()
    texts = [element.text for element in drawn.iter() if element.tag.endswith("text")]
    assert "<b>[red]&x" in texts
    assert texts[0] == "Cost by tenant in USD"
    bars = [float(bar.get("width")) for bar in drawn.iter() if bar.tag.endswith("rect")][1:]
    assert max(bars) == 420


def test_a_price_of_ones_own_is_shown_used_and_reaches_the_past(flowledger):
    flowledger("run", "unpriced", "question=q")
    assert json.loads(flowledger("cost", "--by", "model", "--json").out) == []
    given = ["prices", "override", "engine:scripted", "--input", "1.50", "--output", "$3", "--from", "1d"]
    refused = flowledger(*given)
    assert (refused.code, "add --yes to write it" in refused.err) == (2, True)
    shown = flowledger(*given, "--cache-read", "0.1", "--note", "as agreed", "--yes").out
    assert "until now: not known" in shown
    assert "then: $1.50 in, $3 out, $0.1 cache read, $1.50 cache write" in shown
    assert flowledger("run", "unpriced", "question=q").code == 0
    (row,) = json.loads(flowledger("cost", "--by", "model", "--json").out)
    assert (row["cost_usd"], row["unpriced"]) == ("0.00003", 0)  # 10 tokens in, 5 out


def test_past_calls_are_priced_anew_as_a_version(flowledger):
    flowledger("run", "say", "question=q")
    told = json.loads(flowledger("prices", "reprice", "--yes", "--json").out)
    assert (told["version"], told["calls"], told["changed"]) == (1, 1, 0)  # its price stands in code
    again = flowledger("prices", "reprice", "--model", "scripted", "--yes").out
    assert "1 calls, of which 0 cost another amount" in again
    assert "written as cost version 2" in again
    for version in ("recorded", "1", "latest"):
        (row,) = json.loads(flowledger("cost", "--by", "workflow", "--cost-version", version, "--json").out)
        assert row["cost_usd"] == "0.000015"
    assert "there is no such call" in flowledger("prices", "reprice", "--model", "nobody").out


def test_every_model_is_checked_for_a_price(spent):
    checked = spent("prices", "check", "--json")
    found = {one["model"]: one for one in json.loads(checked.out)["models"]}
    assert (found["scripted"]["source"], found["scripted"]["calls"]) == ("override", 4)
    assert "left out: the model of the role 'keyless'" in checked.err
    assert "catalogue genai-prices-" in spent("prices", "check").out


def test_estimates_are_shown_and_learned(flowledger):
    assert "no answered model call" in flowledger("estimate").out
    flowledger("run", "say", "question=q")
    assert "engine:scripted" in flowledger("estimate").out
    assert "it takes 20 calls" in flowledger("estimate", "--learn").out
    for _ in range(19):
        flowledger("run", "say", "question=q")
    assert "calibration 1: engine:scripted from 20 calls: p50 " in flowledger("estimate", "--learn").out
    found = json.loads(flowledger("estimate", "--since", "1d", "--model", "scripted", "--json").out)
    assert (found["estimates"][0]["calibration"], found["learned"]) == (1, [])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["cost", "--json", "--csv"], "--json, --csv and --plot are three ways to print the same: choose one"),
        (["cost", "--until", "soon"], "--until 'soon' is neither a span like 12h or 7d nor a date like 2026-01-31"),
        (["cost", "--cost-version", "3"], "--cost-version '3': write recorded, latest or a number; there is none yet"),
        (["cost", "--svg", "nowhere/cost.svg"], "--svg nowhere/cost.svg cannot be written: No such file or directory"),
        (["cost", "--by", "colour"], "--by colour: the dimensions are workflow, version, node"),
        (["prices", "override", "gpt-5", "--input", "1", "--output", "1"], "the model 'gpt-5' is not one: write prov"),
        (["prices", "override", "a:b", "--input", "x", "--output", "1"], "--input 'x' is not a price: write USD per"),
        (["prices", "override", "a:b", "--input", "1", "--output", "-1"], "--output '-1' is not a price: write USD"),
        (["prices", "override", "a:b", "--input", "nan", "--output", "1"], "--input 'nan' is not a price: write USD"),
        (["prices", "override", "a:b", "--input", "1", "--output", "1", "--from", "x"], "--from 'x' is neither a span"),
        (["estimate", "--since", "x"], "--since 'x' is neither a span"),
    ],
)
def test_a_wrong_option_gets_one_sentence(flowledger, arguments, sentence):
    ran = flowledger(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err
    assert len(ran.err.strip().splitlines()) == 1
