"""Time stamps, as pieces of regular expressions: for lines whose numbers are masked, and for raw lines.

In a masked line a word with a digit is one character (:data:`NUMBER`); what is left of a time stamp are the names of
days, months and zones, and the separators.
"""

from __future__ import annotations

import re

from airflow_cd.verification.logs.masking import VARIABLE

NUMBER = VARIABLE
_DAY_NAMES = (
    "Mon Tue Wed Thu Fri Sat Sun Monday Tuesday Wednesday Thursday Friday Saturday Sunday Tues Thur Thurs Wednes "
    "Mo Di Mi Do Fr Sa So Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonnabend Sonntag "
    "lun mar mer jeu ven sam dim lundi mardi mercredi jeudi vendredi samedi dimanche "
    "mié jue vie sáb dom lunes martes miércoles jueves viernes sábado domingo "
    "gio lunedì martedì mercoledì giovedì venerdì sabato domenica "
    "seg ter qua qui sex segunda terça quarta quinta sexta segunda-feira terça-feira quarta-feira quinta-feira "
    "sexta-feira ma di wo do vr za zo maandag dinsdag woensdag donderdag vrijdag zaterdag zondag "
    "пн вт ср чт пт сб вс нд pon wto wt śro śr czw pią pią pt sob nie ndz po út st čt pá so ne "
    "mån tis ons tor tors fre lör sön man tir ons tor fre lør søn ma ti ke to pe la su mie joi vin sâm dum "
    "Pzt Sal Çar Per Cum Cmt Paz h k sze cs p szo v Δευ Τρι Τετ Πεμ Παρ Σαβ Κυρ "
    "понедельник вторник среда четверг пятница суббота воскресенье Pazartesi Salı Çarşamba Perşembe Cuma Cumartesi "
    "Pazar poniedziałek wtorek środa czwartek piątek sobota niedziela måndag tisdag onsdag torsdag fredag lördag "
    "söndag mandag tirsdag lørdag"
)
_MONTH_NAMES = (
    "Jan Feb Mar Apr May Jun Jul Aug Sep Sept Oct Nov Dec January February March April June July August September "
    "October November December "
    "Jän Januar Februar März Mär Mrz Mai Juni Juli Okt Oktober Dez Dezember Jänner "
    "janv févr mars avr avril mai juin juil août janvier février juillet septembre octobre novembre décembre déc fév "
    "ene abr ago dic enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre "
    "gen mag giu lug set ott gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre "
    "fev out dez janeiro fevereiro março maio junho julho setembro outubro novembro dezembro "
    "mrt mei okt januari februari maart juni augustus "
    "янв фев мар апр мая июн июл авг сен окт ноя дек січ лют бер кві тра чер лип сер вер жов лис гру "
    "sty lut kwi maj cze lip sie wrz paź lis gru led úno bře dub kvě čvn čvc srp zář říj pro "
    "janv febr márc ápr máj jún júl szept tammi helmi maalis huhti touko kesä heinä elo syys loka marras joulu "
    "ian iun iul noi Oca Şub Nis Haz Tem Ağu Eyl Eki Kas Ara Ιαν Φεβ Μαρ Απρ Μαΐ Μαϊ Ιουν Ιουλ Αυγ Σεπ Οκτ Νοε Δεκ "
    "января февраля марта апреля июня июля августа сентября октября ноября декабря "
    "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня "
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października grudnia "
    "ledna února března dubna května června července srpna října listopadu prosince "
    "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık augusti marts desember des "
    "január február március április május június július augusztus szeptember október "
    "ianuarie februarie martie aprilie iunie iulie septembrie octombrie noiembrie decembrie"
)
_ZONES = (
    r"UTC|GMT|Z|[ECMPAH][SD]T|CES?T|EES?T|WES?T|BST|IST|JST|KST|MSK|SGT|AE[SD]T|AC[SD]T|AWST|NZ[SD]T|BRT|ART|HKT|PKT"
    r"|WIB|SAST|CAT|EAT|WAT|[A-Z][a-z]+/[A-Z][A-Za-z_]+"
)


# Any words, which are looked up once a stamp is found: naming them all here would take long to compile.
_DAY = r"[^\W\d_]{1,13}(?:-feira)?\b\.?,?"
_MONTH = r"[^\W\d_]{2,12}\b\.?"
_N = NUMBER
_PLAIN_DATES = (
    rf"{_N}/{_N}(?:/{_N})?,?|{_N} ?年 ?{_N} ?月 ?{_N} ?日|{_N}\. {_N}\. {_N}\.|{_N}\.?"  # those without any name
)
_NAMED_DATES = (
    rf"(?:{_DAY} )?{_MONTH} {{1,2}}{_N}(?:,? {_N}(?=[ ,]))?,?"
    rf"|(?:{_DAY} {{1,2}})?{_N}[./ ]{{0,2}}(?:de )?{_MONTH}[/ ,]?(?: ?(?:de )?{_N})?,?"
    rf"|{_DAY} {_N}/{_N}(?:/{_N})?,?"
    rf"|{_MONTH}/{_N}(?:/{_N})?"
    rf"|{_DAY} {_N}"
)
_FRACTION = rf"(?:[,;]{_N})?"
_HALF_BEFORE = r"(?:(?:上午|下午|午前|午後|오전|오후) ?)?"
_HALF = r"(?: ?(?:[AaPp]\.?[Mm]\.?|上午|下午|오전|오후|ص|م)(?![\w]))?"
_NO_LEVEL = r"(?!(?i:debug|trace|info|notice|warn|warning|err|error|severe|crit|critical|fatal|alert|emerg)\))"
_ZONE = rf"(?:(?::{_N})? ?(?:\({_NO_LEVEL}(?:[A-Z][\w/ ]+)\)|\[(?:{_ZONES})\]|(?:{_ZONES})(?![\w/])))?"
_CLOCK = rf"(?:{_HALF_BEFORE}{_N}:{_N}(?::{_N}){{1,3}}{_FRACTION}{_HALF}|{_N}时{_N}分{_N}秒|{_N}時{_N}分{_N}秒){_ZONE}"
_YEAR = rf"(?: {_N}(?=[\]\s]))?"

_NAMED = re.compile(r"[^\W\d_]+(?:-feira)?")
_NAMES = frozenset(name.lower() for name in (_DAY_NAMES + " " + _MONTH_NAMES).split())
_BETWEEN_NAMES = frozenset(("de",))


def may_begin(text: str, at: int) -> bool:
    """Whether a stamp may begin at this place of a masked line.

    :param text: the masked line.
    :param at: offset in it.
    """
    if text[at] == NUMBER:
        return True
    word = _NAMED.match(text, at)
    return word is not None and word.group().lower() in _NAMES


class _Dated:
    """A stamp with a date, in which words are names of days and months.

    :param named: the rule where there are such names, in its group ``date``.
    :param plain: the rule where there are none; None if there always are.
    """

    def __init__(self, named: str, plain: str | None = None) -> None:
        self._named = re.compile(named)
        self._plain = re.compile(plain) if plain is not None else None

    def match(self, text: str, at: int = 0) -> re.Match[str] | None:
        """The stamp that begins there; None if none does.

        :param text: the masked line.
        :param at: offset in it.
        """
        found = self._named.match(text, at)
        words = _NAMED.findall(found["date"]) if found is not None else ()
        if found is not None and all(word.lower() in _NAMES or word in _BETWEEN_NAMES for word in words):
            return found
        return self._plain.match(text, at) if self._plain is not None else None


_BEHIND_DATE = rf"(?:[T :,_-]|at |um |à ){{1,3}}{_CLOCK}{_YEAR}"
DATED = _Dated(rf"(?P<date>{_NAMED_DATES}){_BEHIND_DATE}", rf"(?:{_PLAIN_DATES}){_BEHIND_DATE}")
"""Date and time of day."""
SYSLOG_DATED = _Dated(rf"(?P<date>{_MONTH} {{1,2}}{_N}(?: {_N})?) {_CLOCK}")
"""The stamp of RFC 3164, behind which host and program stand."""
CLOCK = re.compile(_CLOCK)
"""A time of day, with seconds."""
SHORT_CLOCK = re.compile(rf"{_N}:{_N}{_FRACTION}{_HALF}|{_N}")
"""What may be a time: without seconds, or as seconds since some beginning."""
DOTTED = re.compile(rf"{_N}(?:/{_N}){{0,2}},? (?:[a-z]{{2,4}} )?{_N} ")
"""What may be a date and a time with dots: `21/04/2026 23.05.11`."""

RAW = re.compile(
    r"[\[(]?(?:"
    r"\d{4}[-/.]\d\d?[-/.]\d\d?[T _,]{1,2}\d\d?:\d\d:\d\d"
    r"|\d\d?[-/. ](?:\d\d?|[A-Za-z]{3,9})[-/. :]\d{2,4}[ ,:T]{1,2}\d\d?:\d\d:\d\d"
    r"|(?:[A-Z][a-z]{2},? )?[A-Z][a-z]{2,8} {1,2}\d{1,2},? (?:\d{4},? )?\d\d?:\d\d:\d\d"
    r"|\d\d:\d\d:\d\d"
    r")(?:[.,]\d+)?(?: ?[AP]M\b)?(?:Z| ?[+-]\d\d:?\d\d\b| (?:UTC|GMT|[A-Z]{3,4}T?)\b(?= \[|\]))?(?: \d{4}\b)?[\])]?"
)
"""A stamp at the beginning of a raw line."""
_PROGRAM = re.compile(r" (?:[\w.-]+ )?[\w./@-]+\[[\w.]+\]:(?: |$)")  # syslog, journald, Heroku
_BARE_PROGRAM = re.compile(r" [\w.-]+ [\w./@()-]+:(?: |$)")  # without its process, in RFC 3164 only
# What Fly and Railway put before each line of an application, with the stream as a level.
_PLATFORM = re.compile(r" (?:\w+\[\w+\] [a-z]{3} \[[a-z]{4,7}\] ?|\[(?:inf|err|wrn|dbg)\] {1,2})")


def without_stamp(line: str) -> str:
    """A raw line without its stamp, host and program; unchanged if it begins with none.

    :param line: as it was read, without prefixes and colours.
    """
    stamp = RAW.match(line)
    if stamp is None:
        return line
    program = _PLATFORM.match(line, stamp.end()) or _PROGRAM.match(line, stamp.end())
    if program is None and line[:1].isalpha():
        program = _BARE_PROGRAM.match(line, stamp.end())
    if program is not None:
        return line[program.end() :]
    rest = line[stamp.end() :]
    return rest[1:] if rest[:1] in (" ", "\t") else rest
