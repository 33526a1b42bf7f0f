"""Access logs: method, route and status of an answered request, which are all that its record is known by.

Client, user, referrer, user agent, sizes and durations are values of the request. The formats: common and combined
(Apache, nginx, Traefik, Puma, Tomcat, Kong), Envoy, Uvicorn, HAProxy, AWS load balancers, IIS, Squid, uWSGI, morgan,
gin, Fiber, chi, Koa, CloudFront, S3, ASP.NET.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from airflow_cd.verification.logs.headers.grpc_codes import failed_with
from airflow_cd.verification.logs.masking import KEPT, NOTES, VARIABLE, without_maybes

_N = VARIABLE
_METHOD = "(?P<method>GET|POST|PUT|DELETE|PATCH|HEAD|OPTIONS|CONNECT|TRACE|PROPFIND)"
_REQUEST = rf"\"{_METHOD} (?P<target>[^\s\"]+)(?: (?:HTTP/)?[\w.{_N}]+)?\""
_STATUS = rf"(?P<status>{KEPT})"
_CLIENT = (
    rf"\"?(?:(?:[\w.:/@*\\{_N}{KEPT}-]+|\[[^\]]*\]|\"[^\"]*\"|-),? ){{0,8}}"  # addresses, names, the time in brackets
)
_FLAGS = r"(?: (?P<flags>(?:[A-Z]{2,5}|LR|UF)(?:,[A-Z]{2,5})*) )?"
_FORMATS = (
    re.compile(rf"{_CLIENT}{_REQUEST} {_STATUS}{_FLAGS}"),
    re.compile(
        rf"(?:\S+ ){{0,3}}(?:\[[^\]]*\] )?\S+ \S+ (?:{_N}/){{4}}{_N} {_STATUS} {_N} \S+ \S+ "
        rf"(?P<flags>[A-Za-z-]{{4}}) .*\"(?:{_METHOD} (?P<target>[^\s\"]+)[^\"]*|<BADREQ>)\""
    ),
    re.compile(rf"(?:https?|grpcs?|wss?|{_N}) (?:\S+ ){{4}}(?:{_N} ){{3}}{_STATUS} [^\"]*{_REQUEST}"),
    re.compile(rf"(?:{_N} {_N}:{_N}:{_N} )?\S+ {_METHOD} (?P<target>\S+) \S+ {_N} (?:\S+ ){{3,4}}{_STATUS} {_N} {_N}"),
    re.compile(rf"(?:{_N} +)?{_N} \S+ (?P<flags>[A-Z]+_[A-Z_]+)/{_STATUS} {_N} {_METHOD} "),
    re.compile(rf"\[pid: .* {_METHOD} (?P<target>\S+) => .*\(HTTP/\S+ {_STATUS}\)"),
    re.compile(
        rf"(?:--> |\[?[\w.$]{{1,60}}\]?:? )?{_METHOD} (?P<target>(?:https?:/)?/\S*)(?: HTTP/{_N})? {{1,2}}(?:[-=]> ?)?"
        rf"{_STATUS}"
        rf"(?:[ ,:-]+(?:{_N}|[-]|in|[mu]?s|bytes))*(?: {_N} - .*)?$"
    ),
    re.compile(rf"\"{_METHOD} (?P<target>[^\s\"]+) HTTP/{_N}\" from \S+ - {_STATUS} "),  # chi
    re.compile(
        rf"(?:\[GIN\] (?:{_N}/){{2}}{_N} - )?(?:{_N}:{_N}:{_N} \| )?{_STATUS} \|(?: +[^|]{{1,60}}\|){{2}} *{_METHOD} *"
        rf"(?:\| *\"?|\")(?P<target>[^\s\"|]+)"
    ),
    re.compile(rf"{_N}\t[^\n]*\t{_METHOD}\t\S+\t(?P<target>\S+)\t{_STATUS}\t"),  # CloudFront
    re.compile(
        rf"(?:{_N} {_N}:{_N}:{_N} )?(?:\S+ ){{3}}{_METHOD} (?P<target>\S+) \S+ {_N} (?:\S+ ){{2}}HTTP/{_N} "
        rf"(?:\S+ ){{4}}{_STATUS} {_N} {_N}"
    ),
    re.compile(rf"(?:{_N}:{_N}:{_N} )?\S+ {_N}:{_N} (?:{_N}:{_N}|-) (?:{_N} ){{3}}{_STATUS} [^\"]*{_REQUEST}"),
    re.compile(rf"Request finished \S+ {_METHOD} (?P<target>\S+) (?:- )+{_STATUS}(?= |$)"),  # ASP.NET
)
_NO_FLAGS = re.compile(r"-+$")
_HOST = re.compile(r"[a-z]+://[^/]*")
_METHODS = (
    "GET ",
    "POST ",
    "PUT ",
    "DELETE ",
    "PATCH ",
    "HEAD ",
    "OPTIONS ",
    "CONNECT ",
    "TRACE ",
    "PROPFIND ",
    "BADREQ",
)


class Request(NamedTuple):
    """An answered request.

    :param message: method, route, status and flags, as a masked line.
    :param status: of the answer.
    """

    message: str
    status: int


def read_request(masked: str) -> Request | None:
    """The request that a line of an access log is of; None if it is something else.

    :param masked: a line after the first stage of masking, notes included, with or without its header.
    """
    if KEPT not in masked or not ("\t" in masked or any(method in masked for method in _METHODS)):
        return None
    text, *notes = without_maybes(masked)[0].split(NOTES)
    for rule in _FORMATS:
        found = rule.match(text)
        if found is not None:
            break
    else:
        return None
    at = text.count(KEPT, 0, found.start("status"))
    status = notes[at] if at < len(notes) else ""
    if not status.isdigit():
        return None
    groups = found.groupdict()
    target = groups.get("target")
    parts = [groups["method"] or "", _route(target) if target else "", KEPT]
    flags = groups.get("flags") or ""
    if flags and not _NO_FLAGS.match(flags):
        parts.append(flags)
    return Request(" ".join(part for part in parts if part) + NOTES + status, int(status))


def _route(target: str) -> str:
    """The path alone: no host, no query, no values."""
    path = _HOST.sub("", re.split(r"[?#;]", target, maxsplit=1)[0]) or "/"
    return path.replace(KEPT, VARIABLE)


_ANSWERED = re.compile(
    rf"(?:(?:DEBUG|INFO|WARN|ERROR|FATAL) )?(?:{_METHOD} )?(?:\S+ )?(?P<status>[1-5][0-9]{{2}})(?: [A-Z_,-]+)?$"
)
_BY_FIELD = re.compile(
    r"\b(?!(?i:exit))(?:[A-Za-z_]*[Ss]tatus(?:_?[Cc]ode)?|[Rr]esponse_?[Cc]ode)[\"']?"
    r"[=:] ?[\"']?([1-5][0-9]{2})(?![\w.])"
    r"|\bSent ([1-5][0-9]{2}) in "
)


def status_in(template: str) -> int | None:
    """The status with which a request was answered, or that stands for its code of gRPC's; None if there is none.

    :param template: of an event.
    """
    found = _ANSWERED.match(template)
    if found is not None and (found["method"] or "BADREQ" in template):
        return int(found["status"])
    hinted = "tatus" in template or "Sent " in template or "esponse" in template
    field = _BY_FIELD.search(template) if hinted else None
    return int(field[1] or field[2]) if field is not None else failed_with(template)
