"""What is exported or kept as a case is redacted: masks are carried out, and what a guardrail refuses is not told."""

from engine.definition.guardrail import redacted
from guardrails import Pii

SAID = {"question": "write to jo@example.com", "parts": ["nothing", "jo@example.com"], "many": 3}


async def test_masks_are_carried_out():
    found, why = await redacted(SAID, [Pii(action="mask")])
    assert why is None
    assert found == {"question": "write to [EMAIL]", "parts": ["nothing", "[EMAIL]"], "many": 3}


async def test_what_is_refused_is_left_out_and_the_reason_told():
    found, why = await redacted(SAID, [Pii(action="block")])
    assert found == {"question": "[pii]", "parts": ["nothing", "[pii]"], "many": 3}
    assert why is not None
    assert why.startswith("pii refuses it: ")
    assert "jo@" not in why
    assert await redacted("jo@example.com", [Pii(action="block"), Pii(action="mask")]) == ("[pii]", why)
