from __future__ import annotations

import pytest

from airflow_cd.errors import ReleaseError, SourceQueryRejected
from airflow_cd.release import Release
from airflow_cd.sources.specification import refuse
from airflow_cd.targets.http import HttpTarget
from airflow_cd.verification.baseline_choice import wrong_baseline
from airflow_cd.wording import counted, ended, first_sentence, without_bullets


def test_numbers_stand_before_their_noun_as_english_writes_them() -> None:
    assert [counted(number, "record") for number in (0, 1, 2, 1000, 1_234_567)] == [
        "0 records",
        "1 record",
        "2 records",
        "1,000 records",
        "1,234,567 records",
    ]


def test_nouns_have_their_article() -> None:
    [environment] = HttpTarget("http_dev", "").mistakes()
    assert "needs an environment, got" in environment
    with pytest.raises(ReleaseError, match=r"a release needs (an artifact|a version)"):
        Release("shop", "", "")


def test_a_baseline_that_is_nearly_a_word_is_asked_about_in_one_sentence() -> None:
    said = wrong_baseline("All")
    assert said is not None
    assert "did you mean 'all'? It must be one of all, previous, control, a deployment's id or a version" in said


def test_a_sentence_has_one_end() -> None:
    assert [ended(sentence) for sentence in ("there is a", "there is a.", "did you mean 'a'?")] == [
        "there is a.",
        "there is a.",
        "did you mean 'a'?",
    ]
    with pytest.raises(SourceQueryRejected, match=r"did you mean 'micrometer'\? Next: "):
        refuse(["signals: 'micrometr' is not known; did you mean 'micrometer'?"])


def test_a_headline_is_the_first_sentence() -> None:
    said = "1 of 2 is not healthy on shop 3.0 after 13.2 s; 1 was not begun. a is failed: exited. Next line."
    assert first_sentence(said) == (
        "1 of 2 is not healthy on shop 3.0 after 13.2 s; 1 was not begun.",
        "a is failed: exited. Next line.",
    )
    assert first_sentence("slow") == ("slow", "")


def test_a_list_under_a_sentence_becomes_one_line() -> None:
    assert without_bullets("2 failed.\n  - a is - down\n  - b is failed:\n    gone\n") == (
        "2 failed. a is - down; b is failed: gone"
    )
    assert without_bullets("it failed") == "it failed"
