"""Deployments of a log system: what its labelled log would look like again, and again with something new in it.

Every deployment logs the system's templates in the mix of the real file, with counts that spread as those of real
deployments do, with other parameters every time, and each behind the header of a real line of its template. A canary
may have templates that no earlier deployment logged, new exceptions, and templates that became more or less frequent.
All of it follows from the seed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.loghub import System, parameters_in

BASELINES = 8
LINES = 3000
_SPREAD, _BURSTY_SPREAD, _BURSTY = 0.04, 0.8, 0.1
_NEW_WORDS = 0.15
_HELD_BACK, _SHIFTED = 4, 6
_APPEARANCES = (1, 3, 20)
_FACTORS = (0.1, 0.2, 3.0, 5.0, 10.0)
_LEAST_SHIFTED = 10.0  # lines expected of a template whose frequency changes: a tenth of fewer is not to be seen
_KNOWN_EXCEPTIONS = {"known exception 1": 6.0, "known exception 2": 3.0}

_KEPT_NUMBER = re.compile(
    r"(?i)(?:\bstatus|\bcode|\berrno|\bexit|\bsignal|\brc|\bsqlstate|HTTP/[0-9.]+\"?)[\"'=: (\[]*$"
)
_RUN = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile(r"[A-Za-z_]{2,}")
_ERROR = re.compile(r"\b(?:ERROR|E|error)\b")
_HEXADECIMAL = re.compile(r"(?=.*[0-9])(?=.*[a-fA-F])[0-9a-fA-F]{6,}")
_SPARED = re.compile(r"(?i:true|false|null|nil|none)|\w*(?:Exception|Error|Throwable)|[A-Z]{4,5}")
_SYLLABLES = ("ba", "ko", "ri", "mu", "te", "lo", "san", "vel", "dor", "quin", "zar", "phe", "ny", "gra", "osk", "wi")


def redrawn(value: str, before: str, rng: random.Random) -> str:
    """A parameter's value with other digits, but for a status: that is what happened, and keeps its mix.

    :param before: the line up to the value.
    """

    def other(match: re.Match[str]) -> str:
        digits = "0123456789abcdef" if _HEXADECIMAL.fullmatch(match[0]) else ""
        return "".join(
            rng.choice(digits or "0123456789") if character.isdigit() or digits else character for character in match[0]
        )

    return value if _KEPT_NUMBER.search(before) else _RUN.sub(other, value)


@dataclass(frozen=True)
class Deployment:
    """Records by what they are.

    :param records: for each template's or exception's name its records.
    :param new: names that no baseline holds.
    :param shifted: names whose frequency changed.
    """

    records: Mapping[str, Sequence[str]]
    new: frozenset[str] = frozenset()
    shifted: frozenset[str] = frozenset()


@dataclass
class World:
    """One system before and after a change.

    :param hostile: whether new words also replace booleans and names of keys.
    """

    system: System
    seed: int
    hostile: bool = False
    baselines: list[Deployment] = field(init=False)
    changed: Deployment = field(init=False)
    unchanged: Deployment = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"{self.system.name} {self.seed} {self.hostile}")
        self._numbers = np.random.default_rng(self._rng.getrandbits(64))
        self._lines: dict[str, list[tuple[str, str, list[tuple[int, int]]]]] = {}
        system = self.system
        for line, header, template in zip(system.lines, system.headers, system.corrected, strict=True):
            self._lines.setdefault(template, []).append((header, line, parameters_in(line, template) or []))
        worst = [header for header in system.headers if _ERROR.search(header)]
        self._error_headers = worst or list(system.headers)
        names = sorted(self._lines)
        held_back = set(self._rng.sample(names, min(_HELD_BACK, len(names) // 3)))
        usual = [name for name in names if name not in held_back]
        total = sum(len(self._lines[name]) for name in usual)
        self._shares = {name: len(self._lines[name]) / total for name in usual}
        self._spread = {name: _BURSTY_SPREAD if self._rng.random() < _BURSTY else _SPREAD for name in usual}
        self.baselines = [self._deployment({}) for _ in range(BASELINES)]
        self.unchanged = self._deployment({})
        self.changed = self._changed(sorted(held_back))

    def _changed(self, held_back: Sequence[str]) -> Deployment:
        volume = self._volume()
        frequent = [name for name in self._shares if volume * self._shares[name] >= _LEAST_SHIFTED]
        shifted = self._rng.sample(frequent, min(_SHIFTED, len(frequent) // 2))
        factors = {name: self._rng.choice(_FACTORS) for name in shifted}
        records = dict(self._deployment(factors, volume).records)
        for name in held_back:
            records[name] = [self._line(name) for _ in range(self._rng.choice(_APPEARANCES))]
        for name in ("new class", "new exception"):
            records[name] = [self._exception(name) for _ in range(self._rng.choice(_APPEARANCES))]
        return Deployment(records, frozenset([*held_back, "new class", "new exception"]), frozenset(shifted))

    def _volume(self) -> float:
        return LINES * self._rng.uniform(0.3, 1.4)

    def _deployment(self, factors: Mapping[str, float], volume: float | None = None) -> Deployment:
        volume = self._volume() if volume is None else volume
        records = {}
        for name, share in self._shares.items():
            count = self._count(volume * share * factors.get(name, 1.0), self._spread[name])
            records[name] = [self._line(name) for _ in range(count)]
        for name, usual in _KNOWN_EXCEPTIONS.items():
            count = self._count(usual * volume / LINES, _SPREAD)
            records[name] = [self._exception(name) for _ in range(count)]
        return Deployment({name: lines for name, lines in records.items() if lines})

    def _count(self, mean: float, spread: float) -> int:
        return int(self._numbers.poisson(mean * self._numbers.gamma(1 / spread, spread)))

    def _line(self, name: str) -> str:
        header, line, parameters = self._rng.choice(self._lines[name])
        parts, last = [header], 0
        for start, end in parameters:
            parts += [line[last:start], self._again(line[start:end], line[:start])]
            last = end
        return "".join(parts) + line[last:]

    def _again(self, value: str, before: str) -> str:
        """Another value of a parameter."""
        if any(character.isdigit() for character in value):
            return redrawn(value, before, self._rng)
        if self._rng.random() >= _NEW_WORDS:
            return value
        return _WORD.sub(lambda match: self._new_word(match, value), value)

    def _new_word(self, match: re.Match[str], value: str) -> str:
        key = value[match.end() : match.end() + 1] in ("=", ":")
        if not self.hostile and (key or _SPARED.fullmatch(match[0])):
            return match[0]
        return "".join(self._rng.choice(_SYLLABLES) for _ in range(self._rng.randint(2, 4)))

    def _exception(self, name: str) -> str:
        number = self._rng.randint(1, 10**6)
        kind, frames = _EXCEPTIONS[name]
        stack = "".join(f"\n\tat {frame}({frame.split('.')[-2]}.java:{self._rng.randint(9, 900)})" for frame in frames)
        header = self._rng.choice(self._error_headers)
        level = "" if _ERROR.search(header) else "ERROR "
        return f"{header}{level}request {number} failed: {kind}: no {self._rng.choice(_SYLLABLES)}-{number}{stack}"


_FRAMES = ("com.acme.cart.Prices.read", "com.acme.cart.Cart.sum", "org.apache.catalina.Valve.invoke")
_EXCEPTIONS = {
    "known exception 1": ("java.lang.NullPointerException", _FRAMES),
    "known exception 2": ("java.net.SocketTimeoutException", ("com.acme.net.Client.get", "com.acme.Stock.ask")),
    "new class": ("java.lang.ArithmeticException", _FRAMES),
    "new exception": ("com.acme.LedgerException", ("com.acme.ledger.Book.post", "com.acme.ledger.Api.handle")),
}
