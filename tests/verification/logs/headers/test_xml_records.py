"""Records that are elements of XML, read like those of JSON."""

from __future__ import annotations

import io

import pytest

from airflow_cd.verification.files.logs import profile_stream
from airflow_cd.verification.logs.cleaning import clean_line
from airflow_cd.verification.logs.headers.xml_records import unfold_element
from airflow_cd.verification.logs.profile import LogProfile


@pytest.mark.parametrize(
    ("element", "text"),
    [
        ("<row><at>x</at><level>error</level><msg>no &lt;card&gt;</msg></row>", "ERROR no <card>"),
        ('<row level="WARN" thread="t"><message><![CDATA[no card]]></message></row>', "WARN no card"),
        ('<Event Severity="40" Type="CardLost" ID="7" />', "ERROR CardLost"),
        ('<Event Severity="10" Type="CardSold" ID="7" />', "INFO CardSold"),
        ('<![LOG[no card]LOG]!><time="1" date="2" component="C" type="3" thread="4">', "ERROR no card"),
        ("<tr><td>ERROR</td><td>no card</td></tr>", "<tr><td>ERROR</td><td>no card</td></tr>"),
        ("<p>a level playing field</p>", "<p>a level playing field</p>"),
    ],
)
def test_level_and_message(element: str, text: str) -> None:
    assert unfold_element(element) == text
    assert clean_line(element, {}) == text


RECORD = """<record>
  <date>2031-05-06T07:00:10Z</date>
  <level>{level}</level>
  <message>{message}</message>
</record>"""


@pytest.mark.parametrize("block", [90, 700, 8_000_000])
def test_an_element_over_several_lines_is_one_record(block: int) -> None:
    many = [RECORD.format(level="INFO", message=f"card {number} sold") for number in range(60)]
    many.insert(30, RECORD.format(level="SEVERE", message="no card 9 left"))
    text = "\n".join(("<?xml version='1.0'?>", "<log>", *many, "</log>"))
    profile = profile_stream(io.BytesIO(text.encode()), block=block)
    counts = {one.template: count for one, count in profile.counts().items()}
    assert counts["INFO card <*> sold"] == 60
    assert counts["ERROR no card <*> left"] == 1
    assert profile.counts() == LogProfile.of(text.split("\n")).counts()


def test_frames_within_an_element_are_a_stack_trace() -> None:
    names = ("take", "sell")
    frames = [f"<frame>\n<class>shop.Cards</class>\n<method>{name}</method>\n</frame>" for name in names]
    thrown = ["<exception>", "<message>shop.CardError: gone</message>", *frames, "</exception>"]
    lines = "\n".join(["<level>SEVERE</level>", "<message>no card</message>", *thrown]).split("\n")
    (found,) = LogProfile.of(["<record>", *(f"  {line}" for line in lines), "</record>"]).tallies
    assert found.exception == "shop.CardError"
    assert found.frames[:1] == ("shop.Cards.take",)
