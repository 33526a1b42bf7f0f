"""How sure is "never seen"? What new kinds of errors a log brings anyway, and whether a canary brings more.

A log of 300 lines that holds ten errors, each of them once, will hold others in its next 300 lines: a new one there is
no proof against a release. How many new kinds are to be expected is estimated from the references alone. Kinds that
were seen once stand for those not yet seen (Good 1953, "The population frequencies of species and the estimation of
population parameters"), scaled to what was watched of the canary. Where a single log of another time is all there
is, two more signs count, because a log changes with time: the share of errors that have gone since, and the share of
ordinary messages that are new. The number that came is held against that by the Poisson distribution.

Stack traces, those among them that no logger wrote, and errors that make up much of what the canary logged, are also
judged by themselves: a log in which every other error is a new one may have had no new exception so far.

Errors that are seen again and again are judged by themselves where they can be: beside a control, which sees the same
time, or with several earlier deployments, which show how many such errors one of them has to itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_cd.verification.logs.events import Comparison
from airflow_cd.verification.logs.headers.levels import NAMES
from airflow_cd.verification.logs.headers.reader import read_header
from airflow_cd.verification.logs.headers.requests import status_in
from airflow_cd.verification.logs.masking import mask_line
from airflow_cd.verification.logs.starting import of_a_start
from airflow_cd.verification.verdict import Event, EventKind

LEVEL = 0.06
"""Probability below which so many new kinds of errors are more than the log brings anyway."""
_RATE_OF_A_QUIET_LOG = 0.05  # new kinds in as much as was watched, where the references have never had one
_ENOUGH_REFERENCES = 3  # whose differences say how many new kinds a deployment brings
_TIMES = (3, 10, 30)  # records of an error that may be called "again and again"
_AGAIN_AND_AGAIN = 20  # records that make a new kind a proof by itself, in one log beside one of another time
_MORE_LIKELY_THAN_NOT = 0.5
_NOT_UNLIKELY = 0.2
_NEARLY_ALL = 0.9  # of the known kinds state a level: then so do its records
_MOST_WORDS = 60  # of a message, by which kinds are told to be of one family
_PLACE = r"[\w$@~./\\<*>+-]+\.\w{1,5}(?::(?:\d+|<\*>)|\((?:\d+|<\*>)\)|, line (?:\d+|<\*>))+"
_FRAME = re.compile(rf"\s*(?:(?:from|at|#\d+:?|\d+:) +{_PLACE}|{_PLACE}:? ?in [`'\"])")
_SOURCE = re.compile(r"\s*(?:\d+|<\*>) \| |\s*[\^~]+$")  # lines of source that a runtime prints around a fault
_DETAILS = re.compile(r"^[^\n]{0,120}\b(?:DETAIL|HINT|CONTEXT|QUERY|STATEMENT): {2}")
_STRAY_FRAME = re.compile(rf"(?:\s*{_PLACE}|<\*>\(<\*>\)) ?\S*$")
_SERVER_ERROR, _GATEWAY = 500, (502, 503, 504)
_REQUESTS = "requests"  # the family of those that failed
_OFTEN = 5  # records of one kind of message
_ONCE_OR_TWICE = 2  # records of one more kind of gateway error
_NOT_UNUSUAL = 0.05  # probability of so many gateway errors by chance
_SPREAD = 0.15  # dispersion of their counts
_TIMES_AS_MANY = 2.0  # kinds of errors as the references let expect: of more, not all can be change with time
_ONE_IS_CHANCE = 1  # a single one, of errors seen once or of new ordinary messages, says nothing about others


@dataclass(frozen=True)
class Novelty:
    """The new kinds of errors of a canary beside what the log brings anyway.

    :param kinds: how many new kinds of errors there are.
    :param usual: how many were to be expected.
    :param p_value: probability of so many by chance; 1 where there are none.
    :param rare: whether there are several references, and none of the errors was logged more than twice, is fatal or
        is an exception.
    :param worded: whether none of them states a level: only their words tell of a failure.
    """

    kinds: int
    usual: float
    p_value: float
    rare: bool = False
    worded: bool = False

    @property
    def proven(self) -> bool:
        """Whether they are more than the log brings anyway."""
        return self.p_value < LEVEL

    @property
    def ordinary(self) -> bool:
        """Whether they are no more than several deployments let expect, and each of them rare."""
        return self.rare and self.p_value >= (_NOT_UNLIKELY if self.worded else _MORE_LIKELY_THAN_NOT)


_NONE = Novelty(0, 0.0, 1.0)


def novelty_of(
    new: Sequence[Event],
    events: Sequence[Event],
    comparison: Comparison,
    matters: Callable[[Event], bool],
    *,
    volume: float,
    control: bool,
) -> Novelty:
    """Judge how many new kinds of errors there are.

    :param new: the events that are new and a risk.
    :param events: all of the comparison.
    :param comparison: with the references, the control first if there is one.
    :param matters: whether an event is one of those whose new kinds are risks.
    :param volume: how much was watched of the canary, as a multiple of all that was watched of the references.
    :param control: whether one of the references is a control.
    """
    new = [event for event in new if not _is_one_more_gateway_error(event, events, comparison)]
    if not new:
        return _NONE
    references = [reference.counts for reference in comparison.references]
    errors = {event.template for event in events if event.kind is not EventKind.UNKNOWN and matters(event)}
    seen = {template: sum(counts.get(template, 0) for counts in references) for template in errors}
    seen = {template: count for template, count in seen.items() if count}
    family = _families([*seen, *(event.template for event in new)])
    kinds = len({family[event.template] for event in new})
    volume = min(1.0, volume)
    usual = max(_good_turing(_together(seen, family), volume), _of_one_reference(references, errors))
    of_another_time = len(references) == 1 and not control
    if of_another_time:
        usual = max(usual, *_changes_with_time(events, seen, family, matters, volume))
    usual += _RATE_OF_A_QUIET_LOG * volume
    by_members = _of_members(new, seen, family, comparison, usual, volume)
    if of_another_time:
        least = max(Novelty(kinds, usual, _at_least(kinds, usual)), by_members, key=lambda novelty: novelty.p_value)
        others = (
            _of_exceptions(new, events, seen, matters, volume),
            _of_uncaught(new, events, seen, volume),
            _of_frequent(new, events, seen, matters, volume),
            _of_requests(new, seen, comparison, volume),
        )
        return min((least, *others), key=lambda novelty: novelty.p_value)
    rare = len(references) >= _ENOUGH_REFERENCES and not any(_is_grave(event) for event in new)
    best = Novelty(kinds, usual, _at_least(kinds, usual))
    best = max(best, by_members, key=lambda novelty: novelty.p_value)
    best = replace(best, rare=rare, worded=not any(event.stated for event in new))
    for times in _TIMES:
        often = sum(event.counts["canary"] >= times for event in new)
        if not often:
            break
        expected = max(_missed(seen, times, volume), _of_one_reference(references, errors, times))
        expected += _RATE_OF_A_QUIET_LOG * volume / 2  # so that one kind of which there are many can be proof
        p_value = 2.0 * _at_least(often, expected)
        if p_value < min(best.p_value, LEVEL):
            best = Novelty(often, expected, p_value)
    return best


def _of_members(
    new: Sequence[Event],
    seen: Mapping[str, int],
    family: Mapping[str, str],
    comparison: Comparison,
    usual: float,
    volume: float,
) -> Novelty:
    """The same, where new kinds are of families that are known: by how the members of those families grow.

    Routes that failed once each are one event, and messages that differ in a word one family: the next route, or the
    same words put together in another way, are no more of a surprise than those before were. A new word is, unless
    many of the family's words came once only.

    :param usual: how many new kinds there are to be expected anyway.
    """
    members: dict[str, dict[str, int]] = {}
    for template, count in seen.items():
        if _is_failed_request(template):
            kinds = comparison.kinds.get(template, {}).items()
            members.setdefault(_REQUESTS, {}).update({kind: before for kind, (_, before) in kinds})
        else:
            members.setdefault(family[template], {})[template] = count
    fresh, mixed, number = set(), set(), 0
    for event in new:
        request = _is_failed_request(event.template)
        name = _REQUESTS if request else family[event.template]
        if name in members and (request or _is_as_others_are(event.template, members[name])):
            mixed.add(name)
            number += len(comparison.kinds.get(event.template, (event.template,))) if request else 1
        else:
            fresh.add(name)
    alone = Novelty(len(fresh), usual, _at_least(len(fresh), usual)) if fresh else _NONE
    number += len(fresh)
    usual += sum(_good_turing(members[name], volume) for name in mixed)
    return min(alone, Novelty(number, usual, _at_least(number, usual)), key=lambda novelty: novelty.p_value)


def _is_as_others_are(template: str, members: Mapping[str, int]) -> bool:
    """Whether a message is put together of words that its family has, as far as the family does not bring new ones.

    :param template: of the message.
    :param members: records of each message of its family.
    """
    words: dict[str, int] = {}
    for member, count in members.items():
        for word in set(member.split()):
            words[word] = words.get(word, 0) + count
    unseen = set(template.split()) - set(words)
    if not unseen:
        return True
    places = zip(*(member.split() for member in members), strict=False)
    in_several = sum(len(set(place)) > 1 for place in places) > 1
    return in_several and sum(count == 1 for count in words.values()) > len(unseen)


def _of_requests(new: Sequence[Event], seen: Mapping[str, int], comparison: Comparison, volume: float) -> Novelty:
    """New requests that failed several times each, beside those there were: what comes once says nothing of them."""
    kinds = [comparison.kinds.get(event.template, {}) for event in new if _is_failed_request(event.template)]
    often = sum(here >= _OFTEN and not before for kind in kinds for here, before in kind.values())
    if not often:
        return _NONE
    failed = [comparison.kinds.get(template, {}) for template in seen if _is_failed_request(template)]
    known = {name: before for kind in failed for name, (_, before) in kind.items()}
    return _one_of_several(often, _missed(known, _OFTEN, volume), volume)


def _is_failed_request(template: str) -> bool:
    return (status_in(template) or 0) >= _SERVER_ERROR


def _is_one_more_gateway_error(event: Event, events: Sequence[Event], comparison: Comparison) -> bool:
    """Whether it is a request that a gateway could not have answered, in a log where it could not before.

    Which of these statuses a client gets, and for which route, is chance, while there are no more of them than usual.
    """
    if status_in(event.template) not in _GATEWAY or event.counts["canary"] > _ONCE_OR_TWICE:
        return False
    alike = [other for other in events if status_in(other.template) in _GATEWAY]
    known = [other for other in alike if other.kind is not EventKind.UNKNOWN and other.expected is not None]
    expected = sum(other.expected or 0.0 for other in known)
    before = sum(counts.counts.get(other.template, 0) for other in known for counts in comparison.references)
    return before > 0 and _by_chance(sum(other.counts["canary"] for other in alike), expected, before) > _NOT_UNUSUAL


def _by_chance(observed: float, expected: float, known: int) -> float:
    """The probability of so many records or more, where as many were known: negative binomial."""
    from scipy.special import betainc

    size, guarded = 1.0 / (_SPREAD + 1.0 / (known + 0.5)), expected * (known + 0.5) / known
    return float(betainc(observed, size, guarded / (size + guarded)))


def _is_grave(event: Event) -> bool:
    return event.counts["canary"] >= _TIMES[0] or event.exception is not None or event.severity == "fatal"


def _of_exceptions(
    new: Sequence[Event],
    events: Sequence[Event],
    seen: Mapping[str, int],
    matters: Callable[[Event], bool],
    volume: float,
) -> Novelty:
    """New stack traces beside those there were: other errors, however many, say nothing about them."""
    chosen = [event for event in new if event.frames and not _only_warned_of(event)]
    if not chosen:
        return _NONE
    traces = {event.template for event in events if event.frames}
    known = {template: count for template, count in seen.items() if template in traces}
    family = _families([*known, *(event.template for event in chosen)])
    number = len({family[event.template] for event in chosen})
    others = [event for event in events if event.kind is not EventKind.UNKNOWN or event.template not in traces]
    rare = _good_turing(_together(known, family), volume, least=0)
    usual = max(rare, *_changes_with_time(others, known, family, matters, volume))
    return _one_of_several(number, usual, volume)


def _of_uncaught(new: Sequence[Event], events: Sequence[Event], seen: Mapping[str, int], volume: float) -> Novelty:
    """Stack traces that no logger wrote, in a log whose records begin with a header: something died.

    What is new in what loggers write says nothing about that.
    """
    chosen = [event for event in new if event.frames and not _has_header(event)]
    known = [event for event in events if event.kind is not EventKind.UNKNOWN]
    if not chosen or sum(map(_has_header, known)) < _NEARLY_ALL * len(known):
        return _NONE
    died = {event.template: seen.get(event.template, 0) for event in known if event.frames and not _has_header(event)}
    family = _families([*died, *(event.template for event in chosen)])
    number = len({family[event.template] for event in chosen})
    return _one_of_several(number, _good_turing(_together(died, family), volume, least=0), volume)


def _only_warned_of(event: Event) -> bool:
    return event.severity == "warning" and event.counts["canary"] <= 1


def _of_frequent(
    new: Sequence[Event],
    events: Sequence[Event],
    seen: Mapping[str, int],
    matters: Callable[[Event], bool],
    volume: float,
) -> Novelty:
    """New kinds that came again and again beside those there were: rare ones say nothing about them."""
    often = _AGAIN_AND_AGAIN
    here = [event for event in events if event.counts["canary"] >= often]
    chosen = [event for event in new if event.counts["canary"] >= often]
    if not chosen:
        return _NONE
    frequent = {kind: count for kind, count in seen.items() if count * volume >= often}
    family = _families([*frequent, *(event.template for event in chosen)])
    number = len({family[event.template] for event in chosen})
    ordinary = [event for event in here if not matters(event)]
    drift = sum(event.kind is EventKind.UNKNOWN for event in ordinary) / len(ordinary) if ordinary else 1.0
    present = {event.template for event in events if event.counts["canary"]}
    gone = sum(kind not in present for kind in frequent)
    return _one_of_several(number, max((number + len(frequent)) * drift, float(gone)), volume)


def _one_of_several(number: int, usual: float, volume: float) -> Novelty:
    """What a part of the new kinds says; it is looked at beside the whole, so its probability counts twice."""
    usual += _RATE_OF_A_QUIET_LOG * volume / 2  # so that one kind can be proof
    return Novelty(number, usual, min(1.0, 2.0 * _at_least(number, usual)))


def _families(templates: Iterable[str]) -> dict[str, str]:
    """For each kind one that stands for its family: kinds that differ in a word are one message with an enumeration."""
    family = {template: template for template in templates}

    def root(template: str) -> str:
        while family[template] != template:
            template = family[template]
        return template

    frames: dict[tuple[int, int], str] = {}
    for template in list(family):
        words = template.split()[:_MOST_WORDS]
        begins, ends = [0], [0]
        for word in words:
            begins.append(hash((begins[-1], word)))
        for word in reversed(words):
            ends.append(hash((ends[-1], word)))
        for position in range(len(words)):
            other = frames.setdefault((begins[position], ends[len(words) - position - 1]), template)
            family[root(template)] = root(other)
    return {template: root(template) for template in family}


def _together(seen: Mapping[str, int], family: Mapping[str, str]) -> dict[str, int]:
    """Records of each family."""
    counts: dict[str, int] = {}
    for template, count in seen.items():
        counts[family[template]] = counts.get(family[template], 0) + count
    return counts


def _good_turing(seen: Mapping[str, int], volume: float, least: int = _ONE_IS_CHANCE) -> float:
    """New kinds in so much more of the log; a kind that was seen twice may have been one happening."""
    once, twice = (sum(count == times for count in seen.values()) for times in (1, 2))
    return max(0.0, once + twice / 2 - least) * volume


def _of_one_reference(references: Sequence[Mapping[str, int]], errors: set[str], times: int = 1) -> float:
    """How many kinds, with so many records, one reference has that no other one has."""
    if len(references) < _ENOUGH_REFERENCES:
        return 0.0
    alone = 0
    for template in errors:
        counts = [count for reference in references if (count := reference.get(template, 0))]
        alone += len(counts) == 1 and counts[0] >= times
    return alone / len(references)


def _changes_with_time(
    events: Sequence[Event],
    seen: Mapping[str, int],
    family: Mapping[str, str],
    matters: Callable[[Event], bool],
    volume: float,
) -> tuple[float, float]:
    """How many new errors to expect if they are as new as ordinary messages are, and if as many came as went."""
    here = [event for event in events if event.counts["canary"] > 0]
    starting = of_a_start(here)
    ordinary = _of_the_log([event for event in here if not matters(event) and event.template not in starting])
    unknown = sum(event.kind is EventKind.UNKNOWN for event in ordinary)
    present = {family[event.template] for event in here if event.template in family}
    drift = max(0, unknown - _ONE_IS_CHANCE) / len(ordinary) if ordinary else 0.0
    expected = {kind: 1.0 - math.exp(-count * volume) for kind, count in _together(seen, family).items()}
    errors = len(present)
    as_before = sum(expected.values())
    gone = sum(share for kind, share in expected.items() if kind not in present) - _ONE_IS_CHANCE
    changed = min(float(errors), _TIMES_AS_MANY * as_before)
    return errors * drift, changed * gone / as_before if gone > 0.0 else 0.0


def _of_the_log(ordinary: Sequence[Event]) -> Sequence[Event]:
    """Without requests, and without what a crash leaves behind.

    New routes say nothing about errors, nor do frames of a stack trace in a log that had none. Where known records
    state a level, or begin with a header, a line that does not is no record.
    """
    ordinary = [event for event in ordinary if status_in(event.template) is None and not _goes_with_an_error(event)]
    if not any(_is_frame(event) for event in ordinary if event.kind is not EventKind.UNKNOWN):
        ordinary = [event for event in ordinary if not _is_frame(event)]
    for as_records_are in (lambda event: event.stated, _has_header):
        known = [as_records_are(event) for event in ordinary if event.kind is not EventKind.UNKNOWN]
        if sum(known) >= _NEARLY_ALL * len(known):
            return [event for event in ordinary if as_records_are(event)]
    return ordinary


def _goes_with_an_error(event: Event) -> bool:
    """Whether it is logged with an error: the source around a fault, PostgreSQL's details of one."""
    if not event.stated:
        return _SOURCE.match(event.template) is not None
    return any(_DETAILS.search(text) is not None for text in event.samples[:1])


def _is_frame(event: Event) -> bool:
    """Whether it is a line of some runtime's stack trace: it begins with a place in a source file."""
    texts = (*event.samples[:1], event.template.removeprefix(f"{NAMES[event.severity]} "))
    rules = (_FRAME,) if event.stated else (_FRAME, _STRAY_FRAME)
    return any(rule.match(text) for text in texts for rule in rules)


def _has_header(event: Event) -> bool:
    """Whether its records begin with a time stamp or a level."""
    header = read_header(mask_line(event.samples[0].split("\n", 1)[0])) if event.samples else None
    return header is not None and (header.stamped or header.level is not None)


def _missed(seen: Mapping[str, int], times: int, volume: float) -> float:
    """How many of such kinds as were seen so often would all be on the canary, were their records spread by chance."""
    share = volume / (1.0 + volume)
    return sum(share**count for count in seen.values() if count >= times)


def _at_least(number: int, expected: float) -> float:
    """The probability of so many or more, at least one, Poisson."""
    from scipy.special import gammainc

    return float(gammainc(number, expected))
