"""Clustering: signatures that differ only in a parameter become one event.

Works on the distinct masked messages of a whole comparison, not on lines, and not in the order they came in: the
same signatures give the same events.

Whether a word position is a parameter is learned from the *reference* (baseline and control) alone. Were the canary
asked too, a new failure would count as one more value of a parameter and be swallowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from airflow_cd.verification.logs.fields import without_fields
from airflow_cd.verification.logs.masking import WILDCARD
from airflow_cd.verification.logs.parameters import is_code, is_key, is_protected, merge_parameters, tokenize
from airflow_cd.verification.logs.signatures import Signature
from airflow_cd.verification.logs.slots import Slots, Tokens, says_what_happened
from airflow_cd.verification.logs.traces.frames import NAMELESS

_FRAMES_SHARED = 0.5
_MOST_SLOTS = 5  # in which a line may differ from a template at once,
_WORDS_BESIDE_A_SLOT = 3  # and words for each of them that the line has at least
_NO_NAMES = frozenset(("null", "none", "nil", "nan", "true", "false", "yes", "no"))  # in whose place a name may stand


def _key_before(tokens: Tokens, position: int) -> str:
    """The key whose value stands at the position, where it says nothing of what happened; "" without one."""
    if position < 2 or "=" not in tokens[position - 1] or says_what_happened(tokens, position):
        return ""
    return tokens[position - 2]


class Vocabulary:
    """The events of the reference, and what a canary's signatures are to them.

    :param reference: signatures of baseline and control, with the records of each.
    """

    def __init__(self, reference: Mapping[Signature, int]) -> None:
        self._templates: dict[Signature, str] = {}
        self._traces: dict[tuple[str, tuple[str, ...]], list[Signature]] = {}
        self._all_traces: list[Signature] = []
        self._by_class: dict[tuple[str, str | None], list[str]] = {}
        lines: dict[Tokens, list[Signature]] = {}
        for signature in reference:
            if signature.traced:
                self._templates[signature] = signature.template
                self._all_traces.append(signature)
                self._traces.setdefault(_classes(signature), []).append(signature)
                self._by_class.setdefault((signature.severity, signature.exception), []).append(signature.template)
            else:
                lines.setdefault(tokenize(signature.template), []).append(signature)
        merged = merge_parameters(lines)
        records = {tokens: sum(reference[one] for one in signatures) for tokens, signatures in lines.items()}
        self._records = records
        self._merged = merged
        self._moved: dict[str, str] = {}  # templates that have become a part of another one
        self._parameters: set[str] = set()  # templates of `_filled`
        self._filled: dict[Tokens, str] = {}  # messages that differ in a parameter of several words, by their template
        self._by_length: dict[int, set[Tokens]] = {}
        self._by_separators: dict[Tokens, set[Tokens]] = {}
        self._of_slots: dict[Tokens, Tokens | None] = {}  # for each line that was asked about
        self._siblings: dict[Tokens, dict[int, list[Tokens]]] = {}
        self._codes: set[tuple[Tokens, int]] = set()  # where a template's parameter may be a code
        self._keys_of_codes: set[str] = set()
        self._lists: set[tuple[Tokens, int]] = set()  # where it was a word
        self._names: set[str] = set()  # words that are values of parameters
        self._without_fields: dict[str, dict[str, dict[str, str]]] = {}  # by text: templates and their fields
        for tokens, signatures in lines.items():
            template = merged[tokens]
            if len(template) == len(tokens):
                changed = [position for position, word in enumerate(tokens) if word != template[position]]
                self._lists.update((template, position) for position in changed)
                codes = [position for position in changed if is_code(tokens[position])]
                self._codes.update((template, position) for position in codes)
                self._keys_of_codes.update(key for position in codes if (key := _key_before(template, position)))
                self._names.update(tokens[position] for position in changed if not is_protected(tokens[position]))
            if WILDCARD in template:
                self._by_length.setdefault(len(template), set()).add(template)
                self._by_separators.setdefault(template[1::2], set()).add(template)
            for signature in signatures:
                self._templates[signature] = "".join(template)
            text, fields = without_fields(template, is_protected)
            if text:
                self._without_fields.setdefault(text, {}).setdefault("".join(template), fields)

    def template_of(self, signature: Signature) -> str | None:
        """The template of the reference's event this signature belongs to or is a variant of; None: it is new.

        :param signature: of the reference or of the canary.
        """
        known = self._templates.get(signature)
        if known is not None:
            if signature.traced:
                return known
            return self._filled.get(tokenize(signature.template)) or self._moved.get(known, known)
        return self._known_trace(signature) if signature.traced else self._known_line(signature)

    def fill_slots(self, signatures: Iterable[Signature]) -> None:
        """Find which of them are events of the reference with another value in a parameter of one word or several.

        Those events of the reference become one event; so this comes before asking for any template.

        :param signatures: of the canary.
        """
        lines = (one for one in signatures if not one.traced and self.template_of(one) is None)
        asked = sorted({tokenize(one.template) for one in lines})
        slots = Slots(self._records, is_protected, asked, frozenset(self._names))
        for tokens in asked:
            found = slots.parameter_in(tokens)
            if found is None:
                continue
            template = "".join(found[0])
            if template not in self._parameters:
                self._parameters.add(template)
                for message in found[1]:
                    self._filled.setdefault(message, template)
                    self._moved.setdefault("".join(self._merged[message]), template)
            # Messages of the reference that another slot has taken are known by that one.
            carried = {self._filled[message] for message in found[1]}
            self._filled.setdefault(tokens, template if template in carried else min(carried))

    def _known_line(self, signature: Signature) -> str | None:
        tokens = tokenize(signature.template)
        if tokens in self._filled:
            return self._filled[tokens]
        fitting = [template for template in self._by_length.get(len(tokens), ()) if self._fits(tokens, template)]
        # The most specific template wins; the text decides between equals, so that the order never does.
        best = min(fitting, key=lambda template: (template.count(WILDCARD), template), default=None)
        if best is None:
            if tokens not in self._of_slots:
                self._of_slots[tokens] = self._of_several_slots(tokens)
            best = self._of_slots[tokens]
        template = self._other_fields(tokens) if best is None else "".join(best)
        return None if template is None else self._moved.get(template, template)

    def _of_several_slots(self, tokens: Tokens) -> Tokens | None:
        """The template that differs from the line in slots alone, each of them known from a sibling of it.

        Where most records have the same in each of several slots, hardly two others have other values in the same ones.
        """
        found = []
        most = min(_MOST_SLOTS, sum(word not in ("", WILDCARD) for word in tokens[::2]) // _WORDS_BESIDE_A_SLOT)
        for template in self._by_separators.get(tokens[1::2], ()):
            slots = _differing(tokens, template, most)
            if slots is not None and all(
                at in slots or word == template[at] or self._is_filled(tokens, at, template)
                for at, word in enumerate(tokens)
            ):
                siblings = self._siblings_of(template)
                if all(any(self._may_be_in(tokens, at, one) for one in siblings.get(at, ())) for at in slots):
                    found.append((len(slots), template))
        return min(found)[1] if found else None

    def _siblings_of(self, template: Tokens) -> Mapping[int, Sequence[Tokens]]:
        """For each position the templates that have a parameter there and nothing else than this one elsewhere."""
        known = self._siblings.get(template)
        if known is None:
            known = self._siblings[template] = {}
            for other in self._by_separators[template[1::2]]:
                if all(
                    one == another or WILDCARD in (one, another) for one, another in zip(template, other, strict=True)
                ):
                    for at, word in enumerate(other):
                        if word == WILDCARD != template[at]:
                            known.setdefault(at, []).append(other)
        return known

    def _is_filled(self, tokens: Tokens, position: int, template: Tokens) -> bool:
        return template[position] == WILDCARD and self._may_be_in(tokens, position, template)

    def _other_fields(self, tokens: Tokens) -> str | None:
        """The template that says the same and has other fields beside it, none of them with another value."""
        text, fields = without_fields(tokens, is_protected)
        for template, known in self._without_fields.get(text, {}).items() if text else ():
            values = ((known[name], fields[name]) for name in known.keys() & fields.keys())
            if known.keys() != fields.keys() and all(one == other or WILDCARD in (one, other) for one, other in values):
                return template
        return None

    def _fits(self, tokens: Tokens, template: Tokens) -> bool:
        """Whether the line is the template with its wildcards filled by words that are no protected ones."""
        for position, (token, wanted) in enumerate(zip(tokens, template, strict=True)):
            if token != wanted and not self._is_filled(tokens, position, template):
                return False
        return True

    def _may_be_in(self, tokens: Tokens, position: int, template: Tokens) -> bool:
        """Whether the word is a value that the template's parameter at its position may have."""
        if position % 2 or is_key(tokens, position):
            return False
        token = tokens[position]
        if is_protected(token) and not (is_code(token) and self._takes_codes(template, position)):
            return False
        return not says_what_happened(tokens, position) or (template, position) in self._lists

    def _takes_codes(self, template: Tokens, position: int) -> bool:
        """Whether the template's parameter may be a code: it was one, or its key takes codes in another message."""
        return (template, position) in self._codes or _key_before(template, position) in self._keys_of_codes

    def _known_trace(self, signature: Signature) -> str | None:
        """A trace of the same classes and fault, reached over a path that differs a little.

        One without frames, because the log ends there or its runtime saves itself what it printed often, is of the
        class alone. What is known as an error is known at a warning too: a trace that no logger wrote stands behind
        whatever was written before it.
        """
        for severity in (signature.severity, *(("error",) if signature.severity == "warning" else ())):
            known = self._trace_at(severity, signature)
            if known is not None:
                return known
        return None

    def _trace_at(self, severity: str, signature: Signature) -> str | None:
        if not signature.frames:
            return min(self._by_class.get((severity, signature.exception), ()), default=None)
        named = f"{severity} {signature.exception}"
        alike = self._traces.get((named, signature.causes), ())
        if not alike and signature.exception == NAMELESS and signature.causes:  # the log begins within it
            alike = [known for known in self._all_traces if _ends_as(known, severity, signature.causes)]
        near = [known for known in alike if _shared(known.frames, signature.frames) >= _FRAMES_SHARED]
        best = min(near, key=lambda known: (-_shared(known.frames, signature.frames), known.template), default=None)
        return None if best is None else best.template

    def unknown_events(self, signatures: Iterable[Signature]) -> dict[Signature, str]:
        """Templates of signatures that are new, clustered among themselves.

        :param signatures: for which :meth:`template_of` knows nothing.
        """
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


def _differing(tokens: Tokens, template: Tokens, most: int) -> list[int] | None:
    """Positions of the template's words that the line has others for; None if they are more than so many."""
    found: list[int] = []
    for at in range(0, len(tokens), 2):
        if tokens[at] != template[at] != WILDCARD:
            if len(found) == most or (is_protected(template[at]) and template[at].lower() not in _NO_NAMES):
                return None
            found.append(at)
    return found


def _ends_as(known: Signature, severity: str, causes: Sequence[str]) -> bool:
    return known.severity == severity and known.causes[-len(causes) :] == tuple(causes)


def _classes(signature: Signature) -> tuple[str, tuple[str, ...]]:
    return f"{signature.severity} {signature.exception}", signature.causes


def _shared(one: Sequence[str], other: Sequence[str]) -> float:
    """Share of functions two traces have in common; 0 unless the fault lies in the same one."""
    if one[:1] != other[:1]:
        return 0.0
    both = set(one) | set(other)
    return len(set(one) & set(other)) / len(both) if both else 1.0


def group(counts: Mapping[Signature, int], templates: Mapping[Signature, str]) -> dict[str, int]:
    """Counts by template instead of by signature.

    :param counts: records of each signature.
    :param templates: the template of each signature.
    """
    grouped: dict[str, int] = {}
    for signature, count in counts.items():
        grouped[templates[signature]] = grouped.get(templates[signature], 0) + count
    return grouped
