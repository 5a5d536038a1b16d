"""Datasets are made, listed, shown and taken elsewhere from the command line."""

import json

import pytest


def test_runs_are_chosen_by_a_query_as_sql_would_say_it(flowledger):
    flowledger("run", "tool-raises", "question=Why?")
    added = flowledger("dataset", "add", "seen", "--query", "status='failed' AND workflow=\"tool-raises\"", "--json")
    assert (added.code, json.loads(added.out)["cases"]) == (0, 1)


def test_failed_runs_become_cases_that_can_be_taken_elsewhere(flowledger, tmp_path):
    flowledger("run", "nonsense", "question=which way")
    run = json.loads(flowledger("run", "say", "question=what is a run", "--json").out)["run_id"]
    first = flowledger("dataset", "add", "seen", "--where", "status=failed", "--since", "1d", "--tag", "bug")
    assert (first.code, ": 1 added, 1 in all" in first.out) == (0, True)
    second = json.loads(flowledger("dataset", "add", "seen", "--from-run", run, "--expect", "answer", "--json").out)
    assert (second["cases"], second["merged"]) == (2, 0)
    assert json.loads(flowledger("dataset", "list", "--json").out)[0]["version"] == second["version"]
    assert "seen" in flowledger("dataset", "list").out
    shown = flowledger("dataset", "show", "seen").out
    assert all(word in shown for word in ("which way", "a good answer", "bug", run[-12:]))
    assert len(json.loads(flowledger("dataset", "show", "seen", "--json").out)) == 2
    (tmp_path / "cases.jsonl").write_text(flowledger("dataset", "export", "seen").out, encoding="utf-8")
    copied = json.loads(flowledger("dataset", "add", "copy", "--file", str(tmp_path / "cases.jsonl"), "--json").out)
    assert copied["version"] == second["version"]
    again = flowledger("dataset", "add", "copy", "--file", str(tmp_path / "cases.jsonl")).out
    assert "0 added, 2 in all, 2 nearly the same as others left out" in again


def test_a_text_with_separators_of_unicode_stays_one_line_of_a_file(flowledger, tmp_path):
    file, copied = tmp_path / "cases.jsonl", tmp_path / "copied.jsonl"
    text = "one\u2028two\u0085three"
    file.write_text("\ufeff" + json.dumps({"question": text}, ensure_ascii=False) + "\r\n", encoding="utf-8")
    first = json.loads(flowledger("dataset", "add", "seen", "--file", str(file), "--json").out)
    copied.write_text(flowledger("dataset", "export", "seen").out, encoding="utf-8")
    second = json.loads(flowledger("dataset", "add", "copy", "--file", str(copied), "--json").out)
    assert (first["cases"], second["version"]) == (1, first["version"])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"question": ' + "[" * 200_000, "nested too deeply"),
        ('{"question": NaN}', "it is not JSON"),
        ('{"question": 1e999}', "it is not JSON"),
        ('{"question": "\\ud800"}', "which is no character"),
    ],
)
def test_a_line_that_cannot_be_kept_is_named(flowledger, tmp_path, line, said):
    file = tmp_path / "cases.jsonl"
    file.write_text(f'{{"question": "good"}}\n{line}\n', encoding="utf-8")
    found = flowledger("dataset", "add", "seen", "--file", str(file))
    assert (found.code, "line 2: " in found.err, said in found.err, "Traceback" in found.err) == (2, True, True, False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "seen"], "say where the cases are from"),
        (["add", "seen", "--where", "status"], "write conditions like"),
        (["add", "seen", "--where", "colour=red"], "runs are chosen by"),
        (["add", "seen", "--where", "status=fialed"], "a run is one of"),
        (["add", "seen", "--where", "status=failed"], "there is no case to add"),
        (["add", "seen", "--file", "nowhere.jsonl"], "cannot be read"),
        (["show", "nowhere"], "no dataset"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(flowledger, arguments, said):
    found = flowledger("dataset", *arguments)
    assert (found.code, said in found.err, "Traceback" in found.err) == (2, True, False)
