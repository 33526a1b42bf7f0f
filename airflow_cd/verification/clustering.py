"""Clustering: signatures that differ only in a parameter become one event.

Works on the distinct masked messages of a whole comparison, not on lines, and not in the order they came in: the
same signatures give the same events. A position in which otherwise equal messages show at least
:data:`VALUES_OF_A_PARAMETER` different words is a parameter, unless one of the words is protected: exception and
error classes, levels, protected numbers, true/false/null, words of failure, and names of keys are what a message
says, never what it is about.

Whether a word position is a parameter is learned from the *reference* (baseline and control) alone. Were the canary
asked too, a new failure would count as one more value of a parameter and be swallowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from airflow_cd.verification.masking import WILDCARD
from airflow_cd.verification.profile import Signature

VALUES_OF_A_PARAMETER = 4
VALUES_BESIDE_MASKED = 3  # with one of them masked already
_LEAST_WORDS = 2  # a template keeps so many words, or all messages of its length would be one
_ROUNDS = 3  # a message with more word parameters than this keeps the rest
_FRAMES_SHARED = 0.5

_SPLIT = re.compile(r"""([\s=:,;()\[\]{}"'|]+)""")
_PROTECTED = re.compile(
    r"""^(?:.*(?:Exception|Error|Throwable|Fault|Failure|Panic)
    |TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|SEVERE|CRITICAL|FATAL|ALERT|EMERG
    |GET|POST|PUT|DELETE|PATCH|HEAD|OPTIONS
    |(?i:true|false|null|none|nil|nan|yes|no|not|on|off|ok|up|down|enabled|disabled
        |success|successful|successfully|succeeded|passed|fail|failed|fails|failing|failure|error|errors|fatal
        |exception|warning|critical|panic|abort|aborted|crash|crashed|killed|timeout|refused|denied|rejected|invalid
        |unable|cannot|lost|missing|unavailable|unreachable|corrupt|corrupted|expired|overflow|exceeded|leak|dead)
    |[A-Z]{0,4}-?[0-9][0-9A-Z]*)$""",
    re.VERBOSE,
)

Tokens = tuple[str, ...]


def is_protected(word: str) -> bool:
    """Whether the word may never become a wildcard."""
    return _PROTECTED.match(word) is not None


def tokenize(template: str) -> Tokens:
    """Words at even positions, what separates them at odd ones."""
    return tuple(_SPLIT.split(template))


def _is_key(tokens: Tokens, position: int) -> bool:
    """Whether the word is the name of a key (``user=``, ``user:``)."""
    followed = position + 1 < len(tokens) and tokens[position + 1][:1] in ("=", ":")
    return followed and "." not in tokens[position]


def _says_enough(tokens: Tokens, without: int) -> bool:
    """Whether the line would still say something without this word."""
    words = sum(
        token not in ("", WILDCARD) and position != without
        for position, token in enumerate(tokens)
        if position % 2 == 0
    )
    return words >= _LEAST_WORDS


class Vocabulary:
    """The events of the reference, and what a canary's signatures are to them.

    :param reference: signatures of baseline and control.
    """

    def __init__(self, reference: Iterable[Signature]) -> None:
        self._templates: dict[Signature, str] = {}
        self._traces: dict[tuple[str, tuple[str, ...]], list[Signature]] = {}
        lines: dict[Tokens, list[Signature]] = {}
        for signature in reference:
            if signature.traced:
                self._templates[signature] = signature.template
                self._traces.setdefault(_classes(signature), []).append(signature)
            else:
                lines.setdefault(tokenize(signature.template), []).append(signature)
        merged = merge_parameters(lines)
        self._by_length: dict[int, set[Tokens]] = {}
        for tokens, signatures in lines.items():
            template = merged[tokens]
            self._by_length.setdefault(len(template), set()).add(template)
            for signature in signatures:
                self._templates[signature] = "".join(template)

    def template_of(self, signature: Signature) -> str | None:
        """The template of the reference's event this signature belongs to or is a variant of; None: it is new."""
        known = self._templates.get(signature)
        if known is not None:
            return known
        return self._known_trace(signature) if signature.traced else self._known_line(signature)

    def _known_line(self, signature: Signature) -> str | None:
        tokens = tokenize(signature.template)
        fitting = [
            template
            for template in self._by_length.get(len(tokens), ())
            if WILDCARD in template and _fits(tokens, template)
        ]
        # The most specific template wins; the text decides between equals, so that the order never does.
        best = min(fitting, key=lambda template: (template.count(WILDCARD), template), default=None)
        return None if best is None else "".join(best)

    def _known_trace(self, signature: Signature) -> str | None:
        """A trace of the same classes and fault, reached over a path that differs a little."""
        near = [
            known
            for known in self._traces.get(_classes(signature), ())
            if _shared(known.frames, signature.frames) >= _FRAMES_SHARED
        ]
        best = min(near, key=lambda known: (-_shared(known.frames, signature.frames), known.template), default=None)
        return None if best is None else best.template

    def unknown_events(self, signatures: Iterable[Signature]) -> dict[Signature, str]:
        """Templates of signatures that are new, clustered among themselves."""
        lines: dict[Tokens, list[Signature]] = {}
        templates: dict[Signature, str] = {}
        for signature in signatures:
            if signature.traced:
                templates[signature] = signature.template
            else:
                lines.setdefault(tokenize(signature.template), []).append(signature)
        merged = merge_parameters(lines)
        for tokens, group in lines.items():
            for signature in group:
                templates[signature] = "".join(merged[tokens])
        return templates


def merge_parameters(lines: Iterable[Tokens]) -> dict[Tokens, Tokens]:
    """For each tokenized line the template it belongs to, its word parameters replaced by the wildcard."""
    current = {tokens: tokens for tokens in lines}
    for _ in range(_ROUNDS):
        wild: dict[Tokens, set[int]] = {}
        families: dict[tuple[int, int, int], list[Tokens]] = {}
        distinct = set(current.values())
        for tokens in distinct:
            for position in range(0, len(tokens), 2):
                if tokens[position] and not _is_key(tokens, position) and _says_enough(tokens, position):
                    family = (position, hash(tokens[:position]), hash(tokens[position + 1 :]))
                    families.setdefault(family, []).append(tokens)
        for (position, _, _), members in families.items():
            free = [tokens for tokens in members if not is_protected(tokens[position])]
            # Values with digits in the same place prove that it is one for parameters.
            masked = any(tokens[position] == WILDCARD for tokens in free)
            if len(free) >= (VALUES_BESIDE_MASKED if masked else VALUES_OF_A_PARAMETER):
                for tokens in free:
                    wild.setdefault(tokens, set()).add(position)
        if not wild:
            break
        current = {tokens: _masked(template, wild.get(template, ())) for tokens, template in current.items()}
    return current


def _masked(tokens: Tokens, positions: Iterable[int]) -> Tokens:
    wild = set(positions)
    return tuple(WILDCARD if position in wild else token for position, token in enumerate(tokens)) if wild else tokens


def _fits(tokens: Tokens, template: Tokens) -> bool:
    """Whether the line is the template with its wildcards filled by words that are no protected ones."""
    for position, (token, wanted) in enumerate(zip(tokens, template, strict=True)):
        if token != wanted and not (
            wanted == WILDCARD and position % 2 == 0 and not is_protected(token) and not _is_key(tokens, position)
        ):
            return False
    return True


def _classes(signature: Signature) -> tuple[str, tuple[str, ...]]:
    return f"{signature.severity} {signature.exception}", signature.causes


def _shared(one: Sequence[str], other: Sequence[str]) -> float:
    """Share of functions two traces have in common; 0 unless the fault lies in the same one."""
    if one[:1] != other[:1]:
        return 0.0
    both = set(one) | set(other)
    return len(set(one) & set(other)) / len(both) if both else 1.0


def group(counts: Mapping[Signature, int], templates: Mapping[Signature, str]) -> dict[str, int]:
    """Counts by template instead of by signature."""
    grouped: dict[str, int] = {}
    for signature, count in counts.items():
        grouped[templates[signature]] = grouped.get(templates[signature], 0) + count
    return grouped
