"""Sentences: cut where they end, with the marks of Markdown gone and code kept."""

import pytest

from engine.models.extractive.sentences import plain, split, units
from engine.models.extractive.terms import alike, stem, terms


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        (
            "Dr. Smith met J. R. Jones in the U.S. Army. He left.",
            ["Dr. Smith met J. R. Jones in the U.S. Army.", "He left."],
        ),
        ("It costs 3.50 USD, e.g. for tea. Ok.", ["It costs 3.50 USD, e.g. for tea.", "Ok."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("Born c. 1455 in Rome. Died later.", ["Born c. 1455 in Rome.", "Died later."]),
        ("今天下雨。明天晴天！好吗？", ["今天下雨。", "明天晴天！", "好吗？"]),
        ("", []),
    ],
)
def test_a_text_is_cut_where_its_sentences_end(text: str, sentences: list[str]) -> None:
    assert list(split(text)) == sentences


PAGE = """# Title

## Budgets

A **budget** limits [a run](run.md)[3]. It is
hard-wrapped here.

- `tokens`: all tokens
- *usd*: money

| field | meaning |
|---|---|
| `calls` | requests |

Run this:

```bash
uv run it
uv run more
```

> quoted

```python
x = 1

y = 2
```
"""


def test_markdown_becomes_paragraphs_items_rows_and_code() -> None:
    found = [(unit.kind, unit.text) for unit in units(PAGE)]
    assert found == [
        ("prose", "A budget limits a run. It is hard-wrapped here."),
        ("item", "`tokens`: all tokens"),
        ("item", "usd: money"),
        ("row", "`calls`: requests"),
        ("prose", "Run this:"),
        ("prose", "quoted"),
        ("code", "x = 1"),
        ("code", "y = 2"),
    ]
    assert units(PAGE)[4].shows == "`uv run it uv run more`"
    assert {unit.heading for unit in units(PAGE)} == {"Budgets"}


def test_marks_go_and_names_in_code_style_stay() -> None:
    assert plain("**Bold**, *thin*, `a**b`, snake_case_name, <b>x</b> ![i](i.png)") == (
        "Bold, thin, `a**b`, snake_case_name, x"
    )


@pytest.mark.parametrize("pair", ["crash crashes", "stop stopped", "refund refunds", "query queries", "retry retries"])
def test_forms_of_a_word_have_one_stem(pair: str) -> None:
    first, second = pair.split()
    assert stem(first) == stem(second)


def test_words_of_one_family_are_alike_and_others_are_not() -> None:
    assert alike(stem("nation"), stem("national"))
    assert alike(stem("strecken"), stem("touristenstrecken"))
    assert not alike(stem("contract"), stem("contrast"))


def test_a_script_without_spaces_gives_pairs_of_characters() -> None:
    assert terms("帝国主义是什么") == ["帝国", "国主", "主义"]
    assert terms("What is a run?") == ["run"]
