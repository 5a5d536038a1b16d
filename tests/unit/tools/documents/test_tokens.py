"""Words: what a query asks for, and how scripts without spaces are found."""

from tools.documents.tokens import MAX_TERMS, bigrams, match_query, spaced


def test_words_are_quoted_and_any_of_them_may_match() -> None:
    assert match_query("How long do refunds take?") == '"long" OR "refunds" OR "take"'


def test_a_query_of_stop_words_alone_keeps_them() -> None:
    assert match_query("Who are you") == '"who" OR "are" OR "you"'


def test_the_syntax_of_the_index_is_only_words() -> None:
    assert match_query('title:x* NEAR("a" b) -"c" ^') == '"title" OR "x" OR "near" OR "b" OR "c"'


def test_a_query_without_words_asks_for_nothing() -> None:
    assert match_query(' "*()- \0 ') == ""


def test_scripts_without_spaces_are_asked_for_in_pairs() -> None:
    assert match_query("Internet2是什么?") == '"internet2" OR "是什" OR "什么"'


def test_a_lone_character_is_the_beginning_of_a_pair() -> None:
    assert match_query("王") == '"王"*'


def test_a_very_long_query_is_cut() -> None:
    assert match_query(" ".join(f"word{number}" for number in range(1000))).count(" OR ") == MAX_TERMS - 1


def test_only_text_in_such_a_script_gets_pairs() -> None:
    assert spaced("plain") == spaced("Größe") == ""
    assert spaced("see Internet2是什么 now").split() == ["Internet2", "是什", "什么"]


def test_a_run_of_one_stays() -> None:
    assert bigrams("王") == ["王"]
