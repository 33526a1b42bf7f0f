from __future__ import annotations

import pytest

from airflow_cd.errors import ReleaseError, SourceQueryRejected
from airflow_cd.release import Release
from airflow_cd.sources.specification import refuse
from airflow_cd.targets.http import HttpTarget
from airflow_cd.verification.baseline_choice import wrong_baseline
from airflow_cd.wording import counted, ended


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
