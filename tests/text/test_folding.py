"""Forms of text: the search of R-LS-10 and the name clashes of R-ST-3."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.text.folding import INVISIBLE, bigrams, fold, fold_name, strip_invisible, words


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("ヤマダ", "やまだ"),
        ("ﾔﾏﾀﾞ", "やまだ"),
        ("ＡＢＣ", "abc"),
        ("㈱サンプル", "(株)さんぷる"),
        ("サンプル\u200b商店", "サンプル商店"),
        ("か\u3099", "ガ"),
        ("辻\U000e0100", "辻"),
        ("１２３", "123"),
        ("ストリートſ", "ストリートs"),
    ],
)
def test_R_LS_10_spellings_that_a_search_must_not_tell_apart(a: str, b: str) -> None:
    assert fold(a) == fold(b)


@given(st.text())
def test_R_LS_10_folding_twice_changes_nothing(text: str) -> None:
    once = fold(text)
    assert fold(once) == once


def test_R_LS_10_words_are_split_at_any_blank_and_kept_once() -> None:
    assert words(" 焼津　ヤイヅ\n焼津 ") == ("焼津", "やいづ")
    assert words("　") == ()


@given(st.text(max_size=30), st.text(max_size=30), st.text(min_size=2, max_size=10))
def test_R_LS_10_a_text_has_all_bigrams_of_every_word_in_it(
    before: str, after: str, word: str
) -> None:
    needle = "".join(fold(word).split())
    assert set(bigrams(needle)) <= set(bigrams(fold(before) + needle + fold(after)))


def test_R_ST_3_names_collide_after_nfkc_trim_and_case_folding() -> None:
    assert fold_name(" ＦＡＸ　") == fold_name("fax")
    assert fold_name("電話\ufeff番号") == fold_name("電話番号")
    assert fold_name("ヤマダ") != fold_name("やまだ")


@given(st.text())
def test_R_ST_3_a_folded_name_is_its_own_folding(text: str) -> None:
    assert fold_name(fold_name(text)) == fold_name(text)


def test_R_LS_4_invisible_characters_are_stripped_and_nothing_else() -> None:
    assert strip_invisible("\ufeff焼\u200b津\u00ad市") == "焼津市"
    assert strip_invisible("焼津 市\n") == "焼津 市\n"


def test_every_format_character_of_unicode_is_invisible() -> None:
    every = range(sys.maxunicode + 1)
    assert {code for code in every if unicodedata.category(chr(code)) == "Cf"} <= set(INVISIBLE)
