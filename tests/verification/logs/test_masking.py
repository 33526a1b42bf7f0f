from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cd.verification.logs import block_masking, masking
from airflow_cd.verification.logs.block_masking import mask
from airflow_cd.verification.logs.masking import mask_line, without_marks
from airflow_cd.verification.logs.refining import LONGEST_TEMPLATE, refine


def _mask(line: str) -> str:
    return mask([line])[0]


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("2026-11-23T08:00:00.123Z INFO served order 17", "INFO served order <*>"),
        ("Jun 14 15:16:01 sshd[19939]: rhost=218.188.2.4", "sshd(<*>): rhost=<*>"),
        ("took 12.5 ms, 3 MB", "took <*>"),
        ("user=u-17 size=3", "user=<*> size=<*>"),
        ("mail to bob@example.com", "mail to <*>"),
        ("see https://example.com/a?b=c now", "see <*> now"),
        ("ftp://quay/dock: closed", "<*>: closed"),
        ("clean C:\\quay\\*.tmp now", "clean <*> now"),
        ("run on crane-[7-9,12] and dock-B[3,4] now", "run on <*> and <*> now"),
        ("read /var/lib/shop/data.db", "read <*>"),
        ("GET /basket/17/items", "GET /basket/<*>/items"),
        ("id deadbeef and 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "id <*> and <*>"),
        ("ids [1, 2, 3]", "ids (<*>)"),
        ("sent 17 KB (17,408 bytes) to 10.0.0.1 ()", "sent <*> to <*>"),
        ("link of fe:ed:00:dc:0a:ff is up", "link of <*> is up"),
        ("cannot load ./report_job: no", "cannot load <*>: no"),
        ("state 1 <ok> 22 <ok> 3 <ok>", "state <*> <ok>"),
        ("rows [{id=1}, {id=2}, {id=3}]", "rows [{id=<*>}]"),
    ],
)
def test_parameters_are_masked(line: str, masked: str) -> None:
    assert _mask(line) == masked


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("status=200 for 1", "status=500 for 1"),
        ('"GET /x HTTP/1.1" 200 17', '"GET /x HTTP/1.1" 500 17'),
        ("GET /x 200 40ms", "GET /x 500 40ms"),
        ("POST /order/17 -> 201", "POST /order/17 -> 503"),
        ("exit code 0", "exit code 137"),
        ("failed with error code E1001", "failed with error code E1002"),
        ("SQLSTATE[23505]: no", "SQLSTATE[42P01]: no"),
        ("errno=2", "errno=13"),
        ("Http404Error: x", "Http500Error: x"),
        ("ready=true", "ready=false"),
        ("java.lang.NullPointerException: x", "java.lang.IllegalStateException: x"),
    ],
)
def test_protected_values_stay_apart(one: str, other: str) -> None:
    assert _mask(one) != _mask(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("status=200 for 1", "status=200 for 2"),
        ("GET /x/1 500 40ms", "GET /x/22 500 7ms"),
        ("size 1", "size 1234567"),
    ],
)
def test_parameters_beside_protected_values_are_masked(one: str, other: str) -> None:
    assert _mask(one) == _mask(other)


_PIECES = st.one_of(
    st.sampled_from(["status=", "200", "code: ", "E17", " ", "GET ", "/a/b", "é", "\u0130", "ſtatus=404", "..", "-1"]),
    st.sampled_from(["KeyError7Error", "x.y.z", "2026-11-23 08:00:00", "[", "]", '"', ' HTTP/1.1" ', "deadbeef"]),
    st.sampled_from(
        ["ORA-00942", "xORA-00942", "E1Ex", "code=12345678901", "errno: ", "facedcab", "xabcdefab-", "7abcdefab"]
    ),
    st.sampled_from(["\x01", "\x02", "\x03", "\x04", "Jun 14 15:16:01 ", "\t", "\\", "~"]),
)
_LINES = st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=12).map("".join))


@pytest.mark.skipif(not masking.has_polars(), reason="polars is not installed: there is one engine only")
@settings(max_examples=120, deadline=None)
@given(st.lists(_LINES, max_size=20))
def test_both_engines_agree(lines: list[str]) -> None:
    assert mask(lines) == [refine(mask_line(without_marks(line))) for line in lines]


@settings(max_examples=60, deadline=None)
@given(_LINES)
def test_no_mark_of_masking_is_left(line: str) -> None:
    masked = _mask(line)
    assert not set(masked) & set(masking.MARKS)


def test_without_polars_the_result_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["status=200 for 1", "2026-11-23T08:00:00Z INFO x 1"]
    fast = mask(lines)
    monkeypatch.setattr(block_masking, "has_polars", lambda: False)
    assert mask(lines) == fast


@pytest.mark.parametrize("line", ["a" * 16_000, "1" * 16_000, "a." * 8_000, "/a" * 8_000, "(" * 16_000, "a@" * 8_000])
def test_long_lines_take_no_long_time(line: str) -> None:
    assert len(refine(mask_line(line))) <= LONGEST_TEMPLATE
