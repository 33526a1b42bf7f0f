"""The header of a masked line: what time, host, process, thread and level it states, taken off the message.

A header is read piece by piece from the left. Some pieces are sure (a stamp, a level); others could as well be the
beginning of a message (a word in brackets, a number) and count only between sure ones, or right behind a level where
a thread's name is usual. The logger's name stays: it tells messages apart, and no deployment changes it by itself.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from airflow_cd.verification.logs.headers import stamps
from airflow_cd.verification.logs.headers.beginnings import (
    TOPICS,
    beginning_of,
    begins_with_letter,
    behind_stamp,
    has_facility,
    level_within,
    sign_at,
)
from airflow_cd.verification.logs.headers.brackets import enclosed_level
from airflow_cd.verification.logs.headers.devices import read_message_id
from airflow_cd.verification.logs.headers.levels import (
    AMBIGUOUS,
    LETTERS,
    LEVELS,
    PLAIN,
    SYMBOLS,
    of_priority,
    severity_of_word,
)
from airflow_cd.verification.logs.masking import KEPT, METHOD, NOTES, STATUS_PHRASE, may_be_status, without_maybes

_N = stamps.NUMBER
_MOST_PIECES = 14
_REACH = 400  # characters in which a header is looked for

_SPACE = re.compile(r"[ \t\u00a0]*(?:(?:\||-{1,3}|->|\u2013|::?|,|;|~|»|›|▶|→|>)(?=[ \t]|$)[ \t]*)*")
_PRIORITY = re.compile(rf"<{KEPT}>(?:{_N} (?=\S))?")
_KLOG = re.compile(rf"{KEPT} {_N}:{_N}:{_N} +(?:[A-Z{_N}-]+ )?[^\s\]]+:{_N}(?:\]| (?:⋮ )?(?:\[[^\]]*\] ?)?(?:{_N} )?)")
_LEVEL = re.compile(
    rf"(?:LOG_(?=[A-Z]))?"
    rf"([^\W\d_]{{3,13}}|[\u3040-\u9fff\uac00-\ud7af]{{2}})"  # two letters are a word in Chinese, Japanese, Korean
    rf"(?=$|[^\w.=/'’@+{_N}-]|-(?!\w)|/(?:[A-Z{_N}]|[a-z][\w.-]*\[))"
)
_LETTER = re.compile(r"([A-Z])(?:,|(?=[ \t]|$))")
_LETTER_MARKED = re.compile(r"([DIWEFNC])[:!>](?= \S)")  # apt, debconf; Telegraf; Tarantool
_MODULE = re.compile(r"[\w.-]{1,40}(?=\[[A-Z]{3,11}\]: )")  # cloud-init
_WITHIN_PROGRAM = re.compile(r"\[([A-Z]{3,11})\]|^ *([A-Z]{3,11})[/ ]")
_WEBLOGIC = re.compile(r"####<[^<>]{8,60}> <(\w+)> ")
_COLUMN = re.compile(r'"([^"]{0,120})"[,;\t](?=\S)')  # of a table whose values are quoted
_SMALL_LETTER = re.compile(r"([diwef])(?= +[A-Z]\w)")  # SAP HANA
_LOGCAT = re.compile(rf"([VDIWEF])/(?=[\w.-]+(?: *(?:\( *{_N}\))?:| ))")
_SYMBOL = re.compile(r"([.*#-]) ")
_REDIS = re.compile(rf"{_N}:[A-Z](?= {_N} )")
_CHANNEL = re.compile(r"[\w.-]{1,40}\.([A-Z]{4,9})(?=: )")  # Monolog, Laravel
_TOOL = re.compile(r"(?:npm|pnpm|yarn) (ERR!|error|WARN|warn|notice|info)(?= |$)|(?:PHP )(\w+)(?: error)?(?=: )")
_AFTER_SLASH = re.compile(rf"/[\w.{_N}-]+")
_COUNTED = re.compile(rf"\[{_N}\]|!(?= )")
_CAPITALS = re.compile(r"[^\W\d_a-z]{3,13}:? ")
_AFTER_CLOCK = re.compile(r"[\s:\]|]")
_NEXT_IS_LEVEL = re.compile(
    r"[\[(<]?(?:LOG_)?([A-Z]{3,11}|[A-Za-z]{3,11}(?=[\])]| \[| <\w))[\]):>]?(?:[\s:]|$)"
    rf"|(?P<letter>\[[TDIWEF]\]|[DIWECF][>!] )|(?P<topics>{TOPICS})"
)
_PAIRS = re.compile(
    r"(?P<key>[A-Za-z_]\w{0,30})=(?P<value>[^\s\"'=]{1,80})[ \t]+(?:\w{1,31}=[^\s\"'=]{1,80}[ \t]+){0,6}"
    r"(?:([A-Z]{3,11}):|\[(?=(?:debug|info|notice|warning|error|critical|alert|emergency)\] ))"
)
_NAME_LOGGERS = frozenset(("class", "logger", "module", "component", "worker", "queue"))
_KERNEL = re.compile(r"[a-z]\w{2,7} *:(emerg|alert|crit|err|warn|notice|info|debug) *: ?")  # dmesg -x
# Heroku (`at=error`), and others in Go (`L=err`).
_STATED = r"(?:debug|info|notice|warn|warning|err|error|crit|critical|fatal)\b"
_KEYED = re.compile(
    rf"(?i:@?(?:time|ts|t|timestamp|datetime|date|at(?!={_STATED})|when|caller|pid|thread|host|hostname)=(?:\"[^\"]*\"|'[^']*'|[^\s\"']+)"
    rf"|(?:level|lvl|severity|loglevel|log\.level|sev|levelname|priority|(?:at|l)(?=={_STATED}))[=:] {{0,20}}"
    r"[\"'\[]?(?P<level>[^\W\d_]{3,13}|[DIWEF](?=[\s,;]))\b[\"'\]]?)"
    r"(?=[\s,;]|$)[,;]?"
)
_UNREAL = re.compile(rf"\[{_N}:{_N}\]\[ *{_N}\]")
_MACOS = re.compile(rf"(?:{_N} +)?(Default|Info|Debug|Error|Fault) +{_N} +{_N} +{_N} +")
_MACOS_TYPES = {"Default": "info", "Info": "info", "Debug": "debug", "Error": "error", "Fault": "fatal"}
_WEBSPHERE = re.compile(rf"{_N} (\S{{1,100}}) +([FEWAIOR]) {{1,3}}(?=\S)")
_WEBSPHERE_TYPES = {"F": "fatal", "E": "error", "W": "warning", "A": "info", "I": "info", "O": "info", "R": "info"}
# A part of a program between its name and the level: `imap(bob)<4711><x>: Error: `.
_PART = re.compile(
    r"[\w.-]{1,40}(?:\([^()]{0,60}\))?(?:<[^<>\s]{0,60}>)*: (?=(?i:error|fatal|panic|warning|critical): )"
)
_ENCLOSED = re.compile(r"\[[^\[\]]{0,120}\]|\([^()]{0,80}\)|<[^<>\s]{1,60}>|\{[^{}\s=:\"]{1,40}\}")
# The status of a request in brackets: `[404]: GET /tea`, `[200 OK] get`.
_ANSWER = re.compile(rf"\[{_N}(?:\](?=:? +{METHOD}\b)| {STATUS_PHRASE}\])")
_THREAD = re.compile(rf"(?:[a-z][\w $#:/.-]*|[A-Z][a-z][\w $#:/.-]*|[\w $#:/.{_N}-]*{_N}[\w $#:/,.{_N}-]*|-|)\s*")
_LOGGER = re.compile(r"[A-Za-z_$][\w$<>-]*(?:[.:/\\]+[\w$<>*-]+)+\s*")
_WORD = re.compile(rf"[\w.$@/{_N}:-]{{1,60}}(?:\(\))?(?=[ \t])")
_HOST_AND_PROGRAM = re.compile(rf" *[\w.{_N}-]+ +(?:[\w./@()-]|{_N})+(?:\[(?:[\w.]|{_N})*\])?:(?= |$)")
_PROGRAM = re.compile(rf" *(?:[\w.{_N}-]+ +)?(?:[\w./@()-]|{_N})+\[(?:[\w.]|{_N})*\]:(?= |$)")
_STATES_LEVEL = r"(?:emerg|alert|crit|critical|err|error|warn|warning|notice|info|debug)"
# A program whose process has no colon behind it (unbound, pacemaker), or none at all (corosync), and an
# instance with its region (Fly), before the level.
_PROGRAM_AND_LEVEL = re.compile(
    rf"(?:[\w.{_N}-]+ +)?[\w./@{_N}-]+ *\[[\w.:{_N}]*\](?: +\([\w.]+\))?(?=[ \t]+{_STATES_LEVEL}: )"
    rf"|(?:[\w.{_N}-]+ +){{1,2}}(?={_STATES_LEVEL} {{1,8}}\[)|\w+\[{_N}\] [a-z]{{3}} (?=\[{_STATES_LEVEL}\](?: |{_N}:))"
)
_SCOPED = re.compile(r"\([\w.-]{1,40}\)(?=: )| {0,4}-{1,3}(?= )")  # Zig's `error(net): `, `warn --- `, `info  - `
_ID_BEHIND_ARROW = re.compile(rf" (?:{_N}|[0-9a-f]{{3,8}}) (?=\S)")  # of go-logging, which counts records
_BEHIND_YEAR = re.compile(
    rf" {_N} +(?!(?i:{_STATES_LEVEL}) )[\w.{_N}-]+ +(?:[\w./@()-]|{_N})+\[(?:[\w.]|{_N})*\]:(?= |$)"
)
_RFC5424 = re.compile(r" (?:\S+) (?:\S+) (?:\S+) (?:\S+) (?:-|(?:\[[^\]]*\])+)(?= |$)")
_BEHIND_LEVEL = re.compile(rf" *(?:{_N} --- |\(?\b{_N}\)?: |{_N}: (?:{_N} )?|-- ?(?=:)|-- [\w.:]+(?=: ))")
_ERROR_LIKE = re.compile(r"Exception|Error|Errno|Fault|Panic|[=\"']")


class Header(NamedTuple):
    """What a masked line begins with.

    :param level: severity that it states, None if none is recognised.
    :param message: the masked line without it, notes included.
    :param stamped: whether a time stamp was read.
    """

    level: str | None
    message: str
    stamped: bool


def read_header(masked: str) -> Header:
    """Read the header of a line after the first stage of masking.

    :param masked: the line, notes included.
    """
    whole = masked
    masked, maybes = without_maybes(masked)
    text, *notes = masked.split(NOTES)
    device = read_message_id(text, notes)
    if device is not None:
        return Header(device[0], device[1] + maybes, stamped=True)
    scan = _Scan(text, notes, maybes)
    scan.run()
    message = scan.logger + text[scan.done :].lstrip()
    if not message.strip():  # a header and nothing else: that is the message
        return Header(scan.level, whole, scan.stamped)
    left = notes[text.count(KEPT, 0, scan.done) :]
    return Header(scan.level, NOTES.join((message, *left)) + maybes, scan.stamped)


class _Scan:
    """The state while one line is read."""

    def __init__(self, text: str, notes: list[str], maybes: str = "") -> None:
        self.text = text[:_REACH]
        self.whole = text
        self.maybes = maybes
        self.notes = notes
        self.level: str | None = None
        self.weak_level = False  # the level is a priority, which a word may overrule
        self.stamped = False
        self.logger = ""
        self.done = 0  # everything before it is header for sure
        self._at = 0
        self._waiting = ""  # a logger's name that is kept if it turns out to stand within the header

    def run(self) -> None:
        for _ in range(_MOST_PIECES):
            start = self._at
            self._at = self._past(_SPACE)
            if self._at >= len(self.text) or not self._piece():
                self._at = start
                break
        if self.done:
            self.done = _SPACE.match(self.text, self.done).end()  # type: ignore[union-attr]

    def _past(self, rule: re.Pattern[str]) -> int:
        found = rule.match(self.text, self._at)
        return found.end() if found else self._at

    def _sure(self, end: int) -> bool:
        self._at = self.done = end
        self.logger += self._waiting
        self._waiting = ""
        return True

    def _maybe(self, end: int, logger: str = "") -> bool:
        self._at = end
        if logger:
            self._waiting += logger.strip() + " "
        return True

    def _states(self, level: str | None, end: int, *, weak: bool = False) -> bool:
        if level is None:
            return False
        if self.level is None or (self.weak_level and not weak):
            self.level, self.weak_level = level, weak
        elif not weak and not self.weak_level:
            return False  # a second level is part of the message
        self._sure(end)
        behind = _BEHIND_LEVEL.match(self.text, end)
        if behind is None and ("▶" in self.text[:end] or "-> " in self.text[:end]):
            behind = _ID_BEHIND_ARROW.match(self.text, end)
        if behind is not None and not weak:
            self._sure(behind.end())
        return True

    def _piece(self) -> bool:
        if self.text[0] == '"' and self._column():
            return True
        return self._stamp() or self._level() or self._sign() or self._keyed() or self._enclosed() or self._guess()

    def _column(self) -> bool:
        found = _COLUMN.match(self.text, self._at)
        if found is None:
            return False
        word = found[1].strip().upper()
        if word in LEVELS and word not in AMBIGUOUS:
            return self._states(LEVELS[word], found.end())
        nested = _Scan(found[1], [])
        nested.run()
        self.stamped |= nested.stamped
        return self._maybe(found.end()) if nested.stamped or " " not in word else False

    def _stamp(self) -> bool:
        text, at = self.text, self._at
        first = self._special_beginning() if at == 0 else None
        if first is not None:
            return first
        if not stamps.may_begin(text, at):
            return False
        rfc3164 = stamps.SYSLOG_DATED.match(text, at)
        if rfc3164 is not None:
            self.stamped = True
            end = rfc3164.end()
            if has_facility(text, end):
                return self._sure(end)
            program = _HOST_AND_PROGRAM.match(text, end) or _PROGRAM.match(text, end)
            program = program or _BEHIND_YEAR.match(text, end)
            return self._sure(program.end() if program else end)
        found = stamps.DATED.match(text, at) or stamps.CLOCK.match(text, at)
        if found is None:
            return False
        # A record within the record of a platform: its own level counts.
        self.weak_level |= self.stamped and self.level is not None and self._begins_again(at, found.end())
        self.stamped = True
        end = found.end()
        if self.weak_level and text[: at + 1].count("<") and _RFC5424.match(text, end):
            return self._sure(_RFC5424.match(text, end).end())  # type: ignore[union-attr]
        program = None if has_facility(text, end) else _PROGRAM.match(text, end)
        level = _WITHIN_PROGRAM.search(program.group()) if program else None
        if program is None or (level is not None and (level[1] or level[2]) in LEVELS):
            return self._sure(end)
        return self._sure(program.end())

    def _begins_again(self, at: int, end: int) -> bool:
        """Whether another record begins with the stamp there: by its date, or by the level behind its time of day."""
        if stamps.DATED.match(self.text, at) is not None:
            return True
        behind = _SPACE.match(self.text, end).end()  # type: ignore[union-attr]
        level = _NEXT_IS_LEVEL.match(self.text, behind)
        return level is not None and level[1] is not None and level[1].upper() in LEVELS

    def _special_beginning(self) -> bool | None:
        """Whether the header was read that only one logger begins with; None if it is no such one."""
        text = self.text
        klog = _KLOG.match(text)
        if klog is not None:
            self.stamped = True
            return self._states(LETTERS.get(self.notes[0][:1]) if self.notes else None, klog.end())
        lettered = begins_with_letter(text)
        if lettered:
            self.stamped = True
            return self._states(LETTERS.get(self.notes[0][:1]) if self.notes else None, lettered)
        weblogic = _WEBLOGIC.match(text)
        if weblogic is not None:
            self.stamped = True
            return self._states(severity_of_word(weblogic[1]), weblogic.end())
        unreal = _UNREAL.match(text)
        if unreal is not None:
            self.stamped = True
            return self._sure(unreal.end())
        begins = beginning_of(text)
        if begins is not None:
            self.stamped = True
            return self._states(*begins)
        priority = _PRIORITY.match(text)
        if priority is not None and self.notes and self.notes[0].isdigit():
            return self._states(of_priority(int(self.notes[0])), priority.end(), weak=True)
        return None

    def _level(self) -> bool:
        text, at = self.text, self._at
        found = _LEVEL.match(text, at)
        if found is not None:
            word, after = found[1], text[found.end() : found.end() + 2]
            level = LEVELS.get(word.upper())
            scoped = _SCOPED.match(text, found.end()) if level is not None and word.islower() else None
            if scoped is not None and word.upper() in PLAIN:
                self._waiting += scoped.group().strip(" -()") + " "
                return self._states(level, scoped.end())
            if level is not None and self._is_level(word, after):
                end = found.end()
                if after[:1] == "/":
                    end = _AFTER_SLASH.match(text, end).end()  # type: ignore[union-attr]
                elif after[:1] == ":":
                    end += 1
                counted = _COUNTED.match(text, end)
                return self._states(level, counted.end() if counted else end)
        found = _LETTER.match(text, at)
        if found is not None and found[1] in LETTERS and (self.stamped or text[at + 1 : at + 4] == ", ["):
            return self._states(LETTERS[found[1]], found.end(), weak=text[at + 1 : at + 2] == ",")
        found = _LETTER_MARKED.match(text, at) if not at or self.stamped else None
        if found is None and self.stamped and not text[self.done : at].strip():
            found = _SMALL_LETTER.match(text, at)
        if found is not None:
            return self._states(LETTERS[found[1].upper()], found.end())
        within = level_within(text, at) if self.stamped or not at else None
        return self._states(within, at) if within is not None else self._level_of_a_program()

    def _level_of_a_program(self) -> bool:
        """A level as only one logger or program writes it."""
        text, at = self.text, self._at
        behind = behind_stamp(text, at) if self.stamped and not text[self.done : at].strip() else None
        if behind is not None:
            return self._states(*behind)
        found = _CHANNEL.match(text, at)
        if found is not None and found[1] in LEVELS:
            return self._states(LEVELS[found[1]], found.end())
        found = _TOOL.match(text, at)
        if found is not None:
            return self._states(severity_of_word((found[1] or found[2]).rstrip("!")), found.end())
        found = _KERNEL.match(text, at) if at == 0 else None
        if found is not None:
            return self._states(severity_of_word(found[1]), found.end())
        found = _LOGCAT.match(text, at)
        if found is not None:
            return self._states(LETTERS[found[1]], found.end())
        if self.stamped and text[at] in _N + "DIEF":
            found = _MACOS.match(text, at)
            if found is not None:
                return self._states(_MACOS_TYPES[found[1]], found.end())
            found = _WEBSPHERE.match(text, at) if text[0] == "[" else None
            if found is not None:
                self._waiting += found[1] + " "
                return self._states(_WEBSPHERE_TYPES[found[2]], found.end())
        found = _SYMBOL.match(text, at)
        if found is not None and self.stamped and _REDIS.match(text):
            return self._states(SYMBOLS[found[1]], found.end())
        return False

    def _is_level(self, word: str, after: str) -> bool:
        if word.upper() in AMBIGUOUS:
            return word.isupper() and (after[:1] == ":" or (word == "LOG" and self.stamped and after == " ["))
        if after[:1] in (":", "]", "|", "\t") or (after[:1] == "!" and word.isupper()):
            # `Error: x` and `error: x` state a level wherever the header may still go on; `10:30 Note: x` as well.
            return after[:2] != "::" or word.isupper()
        if word.isupper():
            return True
        if word.lower() == word.upper():  # a script without capitals
            return self.stamped and after[:1] == " "
        if self.weak_level and self.done == self._at and word.islower() and after == "  ":
            return True  # behind a sign: `✖  error    x`
        if not self.stamped or (word.upper() not in PLAIN and len(word) != 3):
            return False
        # A column filled up with spaces (`Error      CBS`), or something in brackets behind it (`Error [User] x`).
        return word.islower() or after in ("  ", " [")

    def _sign(self) -> bool:
        found = sign_at(self.text, self._at) if self.level is None else None
        return found is not None and self._states(*found, weak=True)

    def _keyed(self) -> bool:
        found = _KEYED.match(self.text, self._at)
        if found is None:
            return False
        if found["level"]:
            return self._states(severity_of_word(found["level"]) or LETTERS.get(found["level"]), found.end())
        self.stamped = True
        return self._sure(found.end())

    def _enclosed(self) -> bool:
        found = _ENCLOSED.match(self.text, self._at) if self.text[self._at] in "[(<{" else None
        if found is None or (self.maybes and self._is_answer()):
            return False
        inner, end = found.group()[1:-1], found.end()
        level = enclosed_level(inner.strip())
        if level is not None:
            name = next((part for part in inner.split("#") if part.upper() not in LEVELS), "") if "#" in inner else ""
            return self._maybe(end, name) and self._states(level, end)
        nested = _Scan(inner, [])
        nested.run()
        if nested.done and (nested.stamped or nested.level):
            self.stamped |= nested.stamped
            rest = inner[nested.done :].strip()
            if rest and _LOGGER.fullmatch(rest):
                self._waiting += rest + " "
            if nested.level is not None and self._states(nested.level, end):
                return True
            return self._sure(end)
        if _ERROR_LIKE.search(inner) or KEPT in inner or (found.group()[0] == "<" and _N not in inner):
            return False
        if _LOGGER.fullmatch(inner):
            return self._maybe_behind(end, inner)
        if _THREAD.fullmatch(inner):
            return self._maybe_behind(end)
        if not self.done and stamps.DATED.match(self.text, _SPACE.match(self.text, end).end()):  # type: ignore[union-attr]
            return self._maybe(end)
        return False

    def _is_answer(self) -> bool:
        return _ANSWER.match(self.text, self._at) is not None and may_be_status(self.whole, self._at + 1, self.maybes)

    def _maybe_behind(self, end: int, logger: str = "") -> bool:
        """A thread, process or logger: part of the header for sure behind a stamp or level, with a message after it."""
        self._maybe(end, logger)
        if self.done and end < len(self.text.rstrip()):
            return self._sure(end)
        return True

    def _before_level(self) -> int:
        """Where a program ends, or a date with dots, that has nothing but a level behind it; 0 without one."""
        if self.stamped or self._at:
            program = _PROGRAM_AND_LEVEL.match(self.text, self._at)
            return program.end() if program is not None else 0
        dotted = stamps.DOTTED.match(self.text)
        return dotted.end() if dotted is not None and _CAPITALS.match(self.text, dotted.end()) else 0

    def _guess(self) -> bool:
        """A word or number that may stand between stamp and level; it counts only if a level comes."""
        if self.level is not None and not self.weak_level:
            return False
        text, at = self.text, self._at
        part = (_PART.match(text, at) or _MODULE.match(text, at)) if self.stamped else None
        if part is not None:
            return self._maybe(part.end(), part.group())
        redis = _REDIS.match(text) if at == 0 else None
        if redis is not None:
            return self._maybe(redis.end())
        end = self._before_level()
        if end:
            return self._maybe(end)
        clock = stamps.SHORT_CLOCK.match(text, at)
        if clock is not None and _AFTER_CLOCK.match(text, clock.end()):
            return self._maybe(clock.end())
        if not self.stamped and at > 0:
            return False
        pair = _PAIRS.match(text, at) if self.stamped else None
        if pair is not None and (pair[3] is None or pair[3] in LEVELS):
            return self._maybe(pair.end("value"), pair["value"] if pair["key"] in _NAME_LOGGERS else "")
        word = _WORD.match(text, at)
        if word is None or self._waiting.count(" ") > 2 or _ERROR_LIKE.search(word.group()):
            return False
        following = _SPACE.match(text, word.end())
        ahead = _NEXT_IS_LEVEL.match(text, following.end() if following else word.end())
        if ahead is None or not (ahead["letter"] or ahead["topics"] or ahead[1].upper() in LEVELS):
            return False
        plain = _N in word.group() or "@" in word.group()
        return self._maybe(word.end(), "" if plain else word.group())
