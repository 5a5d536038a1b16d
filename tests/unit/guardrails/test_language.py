"""Language: a text in another language is turned down, and what nobody can tell passes."""

import pytest

from engine import Action, GuardItem, Stage
from guardrails import Language

pytest.importorskip("pycld2")


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("How long does a refund take, and who pays for it?", Action.ALLOW),
        ("Wie lange dauert eine Rückerstattung, und wer bezahlt sie?", Action.BLOCK),
        ("注文はいつ発送されますか。返金には何日かかりますか。", Action.BLOCK),
        ("ok", Action.ALLOW),
        ("", Action.ALLOW),
        ("12345 67890 \ud800\x00 !!!", Action.ALLOW),
    ],
)
def test_only_a_language_that_may_be_used_passes(text, action):
    assert Language(allow=["en"]).check_text(text, GuardItem(stage=Stage.RUN_INPUT, value=text)).action is action
