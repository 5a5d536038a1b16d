"""Find personal data that can be told by its form: cards, IBANs, e-mail addresses, IP addresses, phone numbers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

import phonenumbers
from stdnum import iban, luhn

from guardrails.patterns import Pattern

Kind = Literal["card", "iban", "email", "ip", "phone"]


@dataclass(frozen=True)
class Found:
    """A stretch of folded text that is personal data."""

    start: int
    end: int
    kind: Kind
    checked: bool = False
    """Whether a check digit agrees."""


def _stands_alone(text: str, start: int, end: int, *, before: str = "", after: str = "") -> bool:
    """Say whether no letter or digit touches the stretch, nor one of the characters given."""
    left, right = text[start - 1 : start], text[end : end + 1]
    return not (left.isalnum() or (left and left in before) or right.isalnum() or (right and right in after))


def _goes_on(text: str, end: int, by: str) -> bool:
    """Say whether a longer token goes on after the stretch: a joint and then a letter or digit."""
    return text[end : end + 1] != "" and text[end] in by and text[end + 1 : end + 2].isalnum()


# --- cards -----------------------------------------------------------------------------------------------------------

_CARD = Pattern(r"\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7}(?:[ -]\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{4,5}|\d{12,}")
# The first digits that issuers have, and the lengths that go with them.
_ISSUERS: Sequence[tuple[Pattern, range]] = (
    (Pattern(r"4\d*"), range(13, 20, 3)),
    (Pattern(r"(?:5[1-5]|2[2-7])\d*"), range(16, 17)),
    (Pattern(r"3[47]\d*"), range(15, 16)),
    (Pattern(r"3(?:0[0-5]|[689])\d*"), range(14, 20)),
    (Pattern(r"35\d*"), range(16, 20)),
    (Pattern(r"(?:2131|1800)\d*"), range(15, 16)),
    (Pattern(r"(?:50|5[6-9]|6)\d*"), range(12, 20)),
    (Pattern(r"(?:81|9792|220[0-4])\d*"), range(16, 20)),
)


def find_cards(text: str, _regions: Sequence[str] = ()) -> Iterator[Found]:
    """Find card numbers: an issuer's first digits, a length of its, and a check digit that agrees."""
    for start, end in _CARD.spans(text):
        for last in _ends_of_groups(text, start, end):
            alone = _stands_alone(text, start, last, before="_.,+", after="_")
            if (
                alone
                and _is_card(text[start:last])
                and not _goes_on(text, last, ".,")
                and not _goes_on(text, last, "-")
            ):
                yield Found(start, last, "card", checked=True)
                break


def _ends_of_groups(text: str, start: int, end: int) -> Iterator[int]:
    yield end
    cut = max(text.rfind(" ", start, end), text.rfind("-", start, end))
    if cut > start:
        yield cut


def _is_card(text: str) -> bool:
    digits = text.replace(" ", "").replace("-", "")
    return (
        len(digits) <= 19
        and len(set(digits)) > 1
        and any(len(digits) in lengths and issuer.is_all_of(digits) for issuer, lengths in _ISSUERS)
        and luhn.is_valid(digits)
    )


# --- IBANs -----------------------------------------------------------------------------------------------------------

_IBAN = Pattern(r"\b[a-z]{2}\d{2}[ -]?[a-z0-9]{4}")
_SHORTEST_IBAN, _LONGEST_IBAN = 15, 34


def find_ibans(text: str, _regions: Sequence[str] = ()) -> Iterator[Found]:
    """Find IBANs: a country's own length and form, and check digits that agree."""
    for start, _ in _IBAN.spans(text):
        if text[start - 1 : start].isalnum():
            continue
        end = next((end for end in _ends_of_iban(text, start) if _is_iban(text[start:end])), None)
        if end is not None:
            yield Found(start, end, "iban", checked=True)


def _ends_of_iban(text: str, start: int) -> list[int]:
    """Give where an IBAN that starts here could end, the longest first."""
    ends: list[int] = []
    length, at = 0, start
    while at < len(text) and length < _LONGEST_IBAN:
        if text[at].isalnum():
            length += 1
        elif text[at] not in " -" or not text[at + 1 : at + 2].isalnum():
            break
        at += 1
        if length >= _SHORTEST_IBAN and not text[at : at + 1].isalnum():
            ends.append(at)
    return ends[::-1]


def _is_iban(text: str) -> bool:
    compact = text.replace(" ", "").replace("-", "")
    if not compact.isascii():
        return False
    digits = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return int(digits) % 97 == 1 and iban.is_valid(compact)


# --- addresses -------------------------------------------------------------------------------------------------------

_EMAIL = Pattern(r"[\p{L}\p{N}._%+'-]+@(?:[\p{L}\p{N}][\p{L}\p{N}-]*\.)+\p{L}{2,24}")
_IPV4 = Pattern(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b")
_IPV6 = Pattern(r"[0-9a-f]{0,4}:[0-9a-f:]{1,36}:[0-9a-f:.]{0,18}[0-9a-f]")


def find_emails(text: str, _regions: Sequence[str] = ()) -> Iterator[Found]:
    """Find e-mail addresses; what logs in to a host, as in a git or database URL, is none."""
    for first, end in _EMAIL.spans(text) if "@" in text else ():
        start = next(at for at in range(first, end) if text[at] not in ".'-%+_")
        is_login = text[start - 1 : start] in {"/", ":"} and "//" in text[max(0, start - 40) : start]
        is_remote = text[end : end + 1] == ":" and text[end + 1 : end + 2].isalnum()
        if text[start] != "@" and not is_login and not is_remote:
            yield Found(start, end, "email")


def find_ips(text: str, _regions: Sequence[str] = ()) -> Iterator[Found]:
    """Find IP addresses, version 4 and 6; those that name no machine of anyone (0.0.0.0, ::) are left out."""
    for start, end in _IPV4.spans(text):
        alone = _stands_alone(text, start, end, before="._-", after="_") and not _goes_on(text, end, ".-")
        if alone and _is_ip(text[start:end]):
            yield Found(start, end, "ip")
    for start, end in _IPV6.spans(text):
        found = text[start:end]
        alone = _stands_alone(text, start, end, before=":._", after=":_") and any(map(str.isdigit, found))
        if alone and _is_ip(found):
            yield Found(start, end, "ip")


def _is_ip(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return not address.is_unspecified


# --- phone numbers ---------------------------------------------------------------------------------------------------

_PHONE = Pattern(r"(?:\+ ?|\(\+?)?\d(?:[ ./\-]{0,3}[()]?[ ./\-]?\d){5,16}")
_ANNOUNCED = Pattern(
    r"\b(?:tele)?(?:phone|fon|tel|telefono?|telephone|fax|mobile|mobil|cell|handy|whatsapp|sms|movil|celular|portable"
    r"|call(?:ing)? (?:me|us|him|her|them)|reach (?:me|us|him|her|them)|ring|dial|hotline|pager)\b[^\d]*$"
)
_ANNOUNCED_AFTER = Pattern(r"^[- ]{0,2}(?:phone|fax|tel|mobile|cell|office)\b")
_DATE = Pattern(
    r"(?:1[89]|20)\d\d[-/. ]\d{1,2}[-/. ]\d{1,2}(?:[ -]\d{1,2})?"
    r"|\d{1,2}[-/. ]\d{1,2}[-/. ](?:1[89]|20)\d\d(?:[ -]\d{1,2})?"
    r"|\d{8}-\d{4,6}|(?:1[89]|20)\d\d ?[-/. ]+(?:1[89]|20)\d\d"
)
_GROUPED = Pattern(
    r"\(\d{1,5}\)[ -]?\d{2,8}(?:[ .-]\d{2,5}){0,4}"  # an area code in parentheses
    r"|0\d{1,4}(?:[ .-]\d{2,4}){2,5}|0\d{2,5}[ /]\d{5,8}"  # a trunk zero
    r"|1?[ .-]?[2-9]\d\d[ .-][2-9]\d\d[ .-]\d{4}"  # North America
    r"|\d{2,3} \d{3} \d{3} \d{4}"  # a country code without its plus
)
_FEWEST_DIGITS, _FEWEST_DIGITS_UNANNOUNCED = 7, 9
_REACH_OF_A_WORD = 30


def find_phones(text: str, regions: Sequence[str] = ()) -> Iterator[Found]:
    """Find phone numbers: international ones, ones grouped like one, and any that a word for phone announces."""
    for start, end in _PHONE.spans(text):
        if _is_loose(text, start, end) and _looks_dialled(text, start, end) and _is_phone(text[start:end], regions):
            yield Found(start, end, "phone")


def _is_loose(text: str, start: int, end: int) -> bool:
    """Say whether a number is not a part of something longer: a decimal, a path, a version, a range."""
    joint, before = text[start - 1 : start], text[start - 2 : start - 1]
    joined = joint != "" and joint in "-./:#=\\" and before.strip() != ""
    alone = _stands_alone(text, start, end, before="$#_@&%", after="_%@")
    return alone and not joined and not _goes_on(text, end, ".:/,")


def _looks_dialled(text: str, start: int, end: int) -> bool:
    found = text[start:end]
    digits = sum(map(str.isdigit, found))
    if digits < _FEWEST_DIGITS or _DATE.is_all_of(found) or _is_ip(found):
        return False
    if found.startswith(("+", "(+")):
        return True
    if _ANNOUNCED.found_in(text[max(0, start - _REACH_OF_A_WORD) : start]):
        return True
    if _ANNOUNCED_AFTER.found_in(text[end : end + _REACH_OF_A_WORD]):
        return True
    return digits >= _FEWEST_DIGITS_UNANNOUNCED and _GROUPED.is_all_of(found)


def _is_phone(text: str, regions: Sequence[str]) -> bool:
    for region in regions:
        try:
            if phonenumbers.is_possible_number(phonenumbers.parse(text, region)):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False


FINDERS: Mapping[Kind, Callable[[str, Sequence[str]], Iterator[Found]]] = {
    "card": find_cards,
    "iban": find_ibans,
    "email": find_emails,
    "ip": find_ips,
    "phone": find_phones,
}


def without_overlaps(found: Iterable[Found]) -> list[Found]:
    """Keep of what overlaps the one with a check digit, then the longest; in order of their places."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: (one.start, not one.checked, -one.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
        elif (one.checked, one.end - one.start) > (kept[-1].checked, kept[-1].end - kept[-1].start):
            kept[-1] = one
    return kept
