"""Names that nobody knows, and the known ones that are nearest to them."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Collection
from typing import Any, TypeVar

from airflow_cd.errors import PipelineError
from airflow_cd.wording import first_of

C = TypeVar("C", bound=Any)
_LISTED = 8
_KEPT = "_misspelt"


def nearest(name: str, known: Collection[str]) -> str:
    """The known name that is most like a name, ``""`` where none is like it.

    :param name: as it was written.
    :param known: the right names.
    """
    plain = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold(), plain, n=1, cutoff=0.6)
    return plain[close[0]] if close else ""


def suggestion(name: str, known: Collection[str]) -> str:
    """What a person may have meant by a name: ``did you mean 'production'?``, or the names that there are.

    :param name: as it was written.
    :param known: the right names.
    """
    if meant := nearest(name, known):
        return f"did you mean {meant!r}?"
    if not known:
        return "there are none"
    listed = sorted(known)
    return f"there {'is' if len(listed) == 1 else 'are'} {first_of(listed, _LISTED)}"


def keeps_misspelt_keywords(cls: type[C]) -> type[C]:
    """Let a dataclass of an author's take keywords that it does not have, and count them among its ``mistakes()``.

    Python's own error would name the first one alone, and hide every other mistake of the file. What is misspelt counts
    as what it is most like, so that nothing that was given is said to be missing.

    :param cls: a dataclass, frozen or not, with a method ``mistakes``.
    """
    plain_init, plain_mistakes = cls.__init__, cls.mistakes
    fields = [field for field in dataclasses.fields(cls) if field.init]
    names = [field.name for field in fields]

    @functools.wraps(plain_init)
    def init(self: C, *values: Any, **given: Any) -> None:
        unknown = [name for name in given if name not in names]
        free = [name for name in names[len(values) :] if name not in given]
        meant = {name: nearest(name, names) for name in unknown}
        wrong = [f"{cls.__name__} has no {name!r}: {suggestion(name, names)}" for name in unknown]
        known = {name: value for name, value in given.items() if name in names}
        known |= {meant[name]: given[name] for name in reversed(unknown) if meant[name] in free}
        required = [field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING]
        twice = [name for name in names[: len(values)] if name in given]
        missing = [name for name in required if name not in known and name not in names[: len(values)]]
        fatal = [
            *(f"{cls.__name__} needs {name}" for name in missing),
            *(f"{cls.__name__} is given {name} twice" for name in twice),
        ]
        if len(values) > len(names):
            fatal.append(f"{cls.__name__} takes {len(names)} values, and is given {len(values)}")
        if fatal:
            raise PipelineError([*wrong, *fatal])
        object.__setattr__(self, _KEPT, tuple(wrong))
        plain_init(self, *values, **known)

    @functools.wraps(plain_mistakes)
    def mistakes(self: C, *values: Any, **given: Any) -> list[str]:
        return [*getattr(self, _KEPT, ()), *plain_mistakes(self, *values, **given)]

    cls.__init__ = init
    cls.mistakes = mistakes
    return cls
