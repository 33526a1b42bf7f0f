from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cd.verification.logs.clustering import Vocabulary
from airflow_cd.verification.logs.parameters import is_protected, merge_parameters, tokenize
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.signatures import Signature
from tests.verification.log_examples import python_trace


def _signatures(*records: str) -> list[Signature]:
    return list(LogProfile.of(records).tallies)


def _vocabulary(signatures: Sequence[Signature]) -> Vocabulary:
    return Vocabulary(Counter(signatures))


_NAMES = ("anna", "bert", "carl", "dora", "emil")


def test_a_word_that_takes_many_values_is_a_parameter() -> None:
    vocabulary = _vocabulary(_signatures(*(f"INFO session opened for user {name} by root" for name in _NAMES)))
    (new,) = _signatures("INFO session opened for user zoe by root")
    assert vocabulary.template_of(new) == "INFO session opened for user <*> by root"


def test_a_message_that_says_much_shows_its_parameter_sooner() -> None:
    known = _signatures(*(f"INFO session of user {name} was closed by the idle timer" for name in _NAMES[:3]))
    (new,) = _signatures("INFO session of user zoe was closed by the idle timer")
    assert _vocabulary(known).template_of(new) == "INFO session of user <*> was closed by the idle timer"


def test_a_short_message_is_about_its_first_word_unless_there_are_many() -> None:
    daemons = ("cron", "sshd", "udev", "ntpd", "cups", "dbus")
    known = _signatures(*(f"INFO {name} started well" for name in daemons))
    assert {_vocabulary(known).template_of(one) for one in known} == {f"INFO {name} started well" for name in daemons}
    many = _signatures(*(f"INFO {one}{other} started well" for one in "bdfgh" for other in daemons))
    assert {_vocabulary(many).template_of(one) for one in many} == {"INFO <*> started well"}


def test_values_of_one_message_are_values_in_another() -> None:
    opened = [f"INFO opened for {name} now" for name in _NAMES]
    closed = [f"INFO closed for {name} now" for name in _NAMES[:2]]
    vocabulary = _vocabulary(_signatures(*opened, *closed))
    (new,) = _signatures("INFO closed for zoe now")
    assert vocabulary.template_of(new) == "INFO closed for <*> now"
    assert _vocabulary(_signatures(*closed[:1])).template_of(new) is None


def test_two_parameters_that_change_together_are_found() -> None:
    line = "INFO loading the registry hive {0} from the offline image into its own key {0} again"
    known = _signatures(*(line.format(name) for name in _NAMES[:3]))
    (new,) = _signatures(line.format("zoe"))
    assert _vocabulary(known).template_of(new) == line.format("<*>")


def test_two_names_of_a_short_message_are_found_where_there_are_enough() -> None:
    towns = ("Arles", "Brest", "Caen", "Dijon", "Evry")
    known = _signatures(
        *(f"ERROR no train takes {name} home by {town}" for name, town in zip(_NAMES, towns, strict=True))
    )
    (new,) = _signatures("ERROR no train takes zoe home by Metz")
    assert _vocabulary(known).template_of(new) == "ERROR no train takes <*> home by <*>"
    assert _vocabulary(known[:4]).template_of(new) is None


def test_two_qualified_names_that_change_together_are_found_sooner() -> None:
    known = _signatures(*(f"INFO bound shop.{name}.Port to shop.dock.{name}" for name in _NAMES[:3]))
    (new,) = _signatures("INFO bound shop.zoe.Port to shop.dock.zoe")
    assert _vocabulary(known).template_of(new) == "INFO bound <*> to <*>"


def test_a_host_glued_to_its_port_is_the_parameter() -> None:
    known = _signatures("WARN could not reach 10.0.0.1:80 in time", "WARN could not reach stock:80 in time")
    assert len({_vocabulary(known).template_of(signature) for signature in known}) == 1


def test_codes_without_end_are_a_parameter_but_statuses_never_are() -> None:
    coupons = _signatures(*(f"ERROR coupon code {number} is not valid" for number in range(1000, 1025)))
    (new,) = _signatures("ERROR coupon code 4711 is not valid")
    assert _vocabulary(coupons).template_of(new) == "ERROR coupon code <*> is not valid"
    assert _vocabulary(coupons[:10]).template_of(new) is None
    statuses = _signatures(*(f"ERROR answered status={number} for order 7" for number in range(400, 430)))
    (new,) = _signatures("ERROR answered status=500 for order 7")
    assert _vocabulary(statuses).template_of(new) is None


def test_codes_among_numbers_are_a_parameter_and_so_they_are_behind_the_same_key() -> None:
    line = "INFO crate refused at the gate [HRESULT = {} - BAD_SEAL]"
    known = [line.format(f"0x8{number}f{number}901") for number in range(5)]
    other = "INFO lid refused at the gate [HRESULT = {} - BAD_SEAL]"
    known += [form.format("123456789012") for form in (line, other)]
    vocabulary = _vocabulary(_signatures(*known))
    for form in (line, other):
        (new,) = _signatures(form.format("0x71f34901"))
        assert vocabulary.template_of(new) == form.format("<*>")
    (new,) = _signatures(line.format("0x71f34901"))
    assert _vocabulary(_signatures(*known[:5])).template_of(new) is None


def test_other_values_in_several_slots_at_once_are_no_news() -> None:
    line = "INFO crane loads from ({}) over ({}) into ({}) of the ship"
    usual = [line.format("none", "none", "none")]
    one_each = [line.format(*("none",) * at, name, *("none",) * (2 - at)) for at in range(3) for name in _NAMES]
    vocabulary = _vocabulary(_signatures(*usual, *one_each))
    (new,) = _signatures(line.format("zoe", "none", "yann"))
    assert vocabulary.template_of(new) is not None
    (new,) = _signatures(line.format("zoe", "failed", "yann"))
    assert vocabulary.template_of(new) is None
    (new,) = _signatures(line.format("zoe", "none", "yann"))
    assert _vocabulary(_signatures(*usual, *one_each[:5])).template_of(new) is None


def test_a_name_without_a_digit_is_one_where_others_have_some() -> None:
    known = _signatures(
        "INFO binding port.v2.Crane to quay.v3.Berth today", "INFO binding port.old.Crane to a.b.Berth today"
    )
    assert {_vocabulary(known).template_of(one) for one in known} == {"INFO binding <*> to <*> today"}


def test_few_values_are_no_parameter() -> None:
    vocabulary = _vocabulary(_signatures("INFO valve was opened today", "INFO valve was closed today"))
    (new,) = _signatures("INFO valve was stuck today")
    assert vocabulary.template_of(new) is None


def test_protected_words_do_not_become_values() -> None:
    known = _signatures(*(f"INFO order for {name} was shipped" for name in _NAMES))
    vocabulary = _vocabulary(known)
    for word in ("null", "failed", "NullPointerException", "ERROR"):
        (new,) = _signatures(f"INFO order for {word} was shipped")
        assert vocabulary.template_of(new) is None, word


def test_a_new_exception_under_a_known_header_is_new() -> None:
    known = [f"ERROR request 1 failed: java.lang.{name}Exception: x" for name in ("A", "B", "C", "D", "E")]
    vocabulary = _vocabulary(_signatures(*known))
    (new,) = _signatures("ERROR request 2 failed: java.lang.NewException: x")
    assert vocabulary.template_of(new) is None


def test_the_canary_never_makes_a_parameter() -> None:
    vocabulary = _vocabulary(_signatures("INFO could read file now", "INFO could write file now"))
    new = _signatures(*(f"INFO could {verb} file now" for verb in ("lose", "burn", "drop", "eat", "sell")))
    assert [vocabulary.template_of(signature) for signature in new] == [None] * 5
    assert set(vocabulary.unknown_events(new).values()) == {"INFO could <*> file now"}


def test_names_of_keys_are_kept() -> None:
    lines = [f"INFO {name}=1 in use" for name in _NAMES]
    assert len({tuple(template) for template in merge_parameters([tokenize(line) for line in lines]).values()}) == 5


def test_short_messages_are_not_all_one() -> None:
    lines = [tokenize(word) for word in ("running", "blocked", "active", "idle", "waiting")]
    assert all(template == line for line, template in merge_parameters(lines).items())


def test_a_known_fault_over_a_slightly_different_path_is_known() -> None:
    (known,) = _signatures(python_trace("KeyError", "redeem"))
    wrapped = python_trace("KeyError", "redeem").replace(
        '  File "/srv/shop/app.py"', '  File "/srv/shop/trace.py", line 3, in traced\n    x\n  File "/srv/shop/app.py"'
    )
    (near,) = _signatures(wrapped)
    assert near != known
    assert _vocabulary([known]).template_of(near) == known.template


def test_the_same_class_in_another_function_is_new() -> None:
    (known,) = _signatures(python_trace("KeyError", "redeem"))
    (new,) = _signatures(python_trace("KeyError", "label"))
    assert _vocabulary([known]).template_of(new) is None


def test_a_known_exception_at_a_higher_level_is_new() -> None:
    (known,) = _signatures(python_trace("KeyError", "redeem").replace("ERROR", "WARN"))
    (new,) = _signatures(python_trace("KeyError", "redeem"))
    assert _vocabulary([known]).template_of(new) is None


def test_protection() -> None:
    assert all(map(is_protected, ("KeyError", "true", "ERROR", "503", "GET", "refused", "E17")))
    assert not any(map(is_protected, ("alice", "errors.log", "getter", "")))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "c", "d", "e", "fgh", "x=", "failed"]), min_size=1, max_size=5).map(
            " ".join
        ),
        max_size=30,
    ),
    st.integers(0, 2**32),
)
def test_the_order_of_lines_does_not_matter(lines: list[str], seed: int) -> None:
    shuffled = lines.copy()
    random.Random(seed).shuffle(shuffled)
    assert merge_parameters([tokenize(line) for line in lines]) == merge_parameters(
        [tokenize(line) for line in shuffled]
    )


def test_two_qualified_names_make_a_place_one_for_names() -> None:
    lines = [
        Signature.of_line(f"starting {name} in the background")
        for name in ("org.shop.till.Drawer", "org.shop.mail.Box")
    ]
    vocabulary = Vocabulary(dict.fromkeys(lines, 1))
    assert {vocabulary.template_of(one) for one in lines} == {"starting <*> in the background"}
    plain = [Signature.of_line(f"starting {name} in the background") for name in ("till", "mail")]
    assert len({Vocabulary(dict.fromkeys(plain, 1)).template_of(one) for one in plain}) == 2


def test_two_qualified_exceptions_stay_apart() -> None:
    lines = [
        Signature.of_line(f"ERROR stopped by {name} in the background")
        for name in ("org.shop.till.DrawerException", "org.shop.mail.BoxException")
    ]
    assert len({Vocabulary(dict.fromkeys(lines, 1)).template_of(one) for one in lines}) == 2


def test_an_exception_without_frames_is_the_one_whose_frames_are_known() -> None:
    def record(name: str, *frames: str) -> str:
        return "\n".join(["ERROR till broke", f"org.shop.{name}: drawer 7", *(f"\tat {frame}" for frame in frames)])

    known = _signatures(record("StuckException", "org.shop.Till.open(Till.java:7)"))
    (cut,), (other,) = _signatures(record("StuckException")), _signatures(record("LostException"))
    assert _vocabulary(known).template_of(cut) == known[0].template
    assert _vocabulary(known).template_of(other) is None
