"""Messages that report a failure by themselves, whatever level their logger gave, if any."""

from __future__ import annotations

import re

from airflow_cd.verification.logs.headers.foreign_failures import suggests_failure_elsewhere
from airflow_cd.verification.logs.headers.grpc_codes import failed_with
from airflow_cd.verification.logs.headers.levels import LEVELS
from airflow_cd.verification.logs.masking import KEPT, VARIABLE

_N = rf"(?:{VARIABLE}|{KEPT}|<\*>|\d+)"
_BEGINS = re.compile(
    r"(?:[a-zA-Z_][\w$]*\.)+(?:[\w$]+\$)?[A-Z]\w*(?:Exception|Error|Throwable|Fault)(?=:|$|\s*\()"
    r"|[A-Z][a-z0-9]\w*?(?:Exception|Error|Interrupt|Throwable)(?=:|$|\s*\()"
    rf"|panic: |http: panic serving |thread '[^']*' (?:\({_N}\) )?panicked at|\*\* \(\w"
    r"|(?:[^\s:]+: )?(?:[Ff]atal error|FATAL ERROR): |# A fatal error has been detected by"
    rf"|thread {_N} panic: |(?:Execution|Syntax) error (?:\(\w+\) )?at |=(?:CRASH|ERROR|SUPERVISOR) REPORT="
    r"|libc\+\+abi: terminating |\*\*\* (?:SIG[A-Z]+ |Aborted at )|\S+: runtime error: |<\*>: \[BUG\] "
    r"|(?:[A-Z]\w+ )?[Rr]un-?time error(?=:| \d| '| <)|Error termination\. Backtrace|forrtl: (?:severe|error)"
    r"|MessageNotUnderstood: "  # Smalltalk
    r"|CallStack \(from HasCallStack\)|raised [A-Z][A-Z_.]+ : "  # Haskell, Ada
    r"|(?:Can't |Died |Global symbol |Undefined subroutine|Not an? \w+ reference|Attempt to |Illegal division"
    r"|Modification of |Compilation failed |BEGIN failed|syntax error ).* at \S+ line \S"  # Perl
    r"|\*\*\* (?:Check failure|Terminating app due to)|\+ CategoryInfo +: |APPLICATION FAILED TO START"
    r"|The application panicked \(crashed\)|wasm trap: |error while executing at wasm backtrace"
    r"|(?:<\*> )?Task timed out after |RequestId: \S+ (?:Error: |Process exited before)"  # AWS Lambda
    r"|Rack app \(.*#<\w"
    r"|(?i:uncaught ?exception|uncaught |unhandled (?:exception|rejection|promise|error)|exception in thread )"
    r"|terminate called after "
    r"|Traceback \(most recent call last\)|Exception Group Traceback|Unbehandelte Ausnahme|Exception non gérée"
    r"|Excepción no controlada|Eccezione non gestita|Exceção sem tratamento|未处理的异常|ハンドルされていない例外"
    r"|Необработанное исключение|처리되지 않은 예외"
    r"|(?:fatal|failed|unreachable): \[|FAILED! |ORA-\w+"
    r"|Terminating due to java\.lang\.|Error occurred during initialization of VM|(?:<\*> )?Execution halted$"
    r"|(?:malloc|free|realloc|munmap_chunk)\(\): (?:corrupted|invalid|double|mismatching|memory|unaligned)"
    r"|corrupted (?:double-linked list|size vs)|(?:\{\")?init terminating in do_boot|(?:💣|\*\*\*) Program crashed: "
    r"|You must install or update \.NET to run this application"
    # V, D, Racket, Tcl, R, GnuCOBOL, Delphi, Free Pascal
    r"|V panic: |[\w.]+(?:Error|Exception)@[^\s:]+: |[\w/!?*-]+: contract violation$"
    r"|can't read \".{1,80}\": no such (?:variable|element in array)$|Error in [\w.:$]+\(.{0,200}\) ?: "
    r"|libcob: (?:\S+: )?error: |Exception E[A-Z]\w+ in module |An unhandled exception occurred at "
    r"|Segmentation fault|Bus error|Illegal instruction|Aborted\b|Killed$|\*\*\* (?:Error|stack smashing)"
    r"|==\S+==ERROR: |BUG: |Oops: |Kernel panic"
)
# The class of an exception in the last column of several (`...|php|...||Error: Call to a member function`).
_IN_LAST_COLUMN = re.compile(r".{0,400}\|[ \t]*(?:[A-Za-z_]\w*\\)*(?:[A-Z]\w*)?(?:Exception|Error): [^|\n]*$")
_UPTIME = re.compile(r"(?:[\[(] *<\*>[\])] )?")  # the kernel's seconds since it started
_HOLDS = re.compile(
    r"\bAssertion [`'].{1,200}' failed\b"
    r"|[Oo]ut of memory: Kill|invoked oom-killer|oom-kill(?:er)?[:' ]|\bOOMKilled\b|\(core dumped\)|\bcore[- ]dumped\b"
    r"|\bsegfault at |general protection fault|kernel BUG at |Kernel panic - |\bsignal: (?:killed|aborted|segmentation)"
    r"|[Ff]ailed with result '(?!success)|Main process exited, code=(?:killed|dumped)|double free or corruption"
    r"|Caught signal (?:\(|<)|[Cc]aught fatal signal|[Cc]aught signal (?:4|6|7|8|11)\b|\bprocess has died\b"
    r"|Guru Meditation Error: |Exception was unhandled|\bPHP (?:Fatal|Parse|Recoverable fatal) error: "
    r"|Main process exited, code=exited, status=(?!0/)|\bpanicked at |exited on signal |code=dumped"
    r"|\bsoft lockup - |\bhard LOCKUP\b|detected (?:expedited )?stalls?\b|\btask \S+ blocked for more than "
    r"|\bError: \S+ Severity: \S+ State: |\bError: \S+, Severity: \S+, State: "  # of Sybase and SQL Server
    r"|:in [`'][^']*': .*\((?:[A-Z]\w*::)*[A-Z]\w+\)$"  # Ruby
    r"|terminated by signal (?:SIG)?(?:SEGV|ABRT|BUS|ILL|FPE|KILL)|Unhandled exception[.:]|UnhandledPromiseRejection"
)


_REACH = 400  # characters in which such words are looked for
_HINTS = (
    *("emory", "oom-kill", "OOMKilled", "dumped", "fault", "kernel", "Kernel", "signal", "result", "process", "double"),
    *("panicked", "Assertion", "nhandled", "Guru", "PHP", ":in", "Severity: ", "stall", "LOCKUP", "lockup", "blocked"),
)


def reports_failure(message: str) -> bool:
    """Whether the message begins with an exception's class, or reports a crash.

    :param message: masked, without its header.
    """
    if _BEGINS.match(message, _UPTIME.match(message).end()) is not None:  # type: ignore[union-attr]
        return True
    if "|" in message and _IN_LAST_COLUMN.match(message) is not None:
        return True
    beginning = message[:_REACH]
    return any(hint in beginning for hint in _HINTS) and _HOLDS.search(beginning) is not None


def reports_death(message: str) -> bool:
    """Whether the message says that a process died, which is an error also where a logger calls it a warning.

    :param message: masked, without its header.
    """
    beginning = message[:_REACH]
    return any(hint in beginning for hint in _HINTS_OF_DEATH) and _DIED.search(beginning) is not None


_HINTS_OF_DEATH = ("DATA RACE", "ThreadSan", "dumped", "SIG", "signal", "emory", "OOMKilled")
_DIED = re.compile(
    r"^DATA RACE$|^ThreadSanitizer: |\bcore[- ]dumped\b|\bcode=dumped|[Oo]ut of memory: Kill|\bOOMKilled\b"
    rf"|(?:exited|killed|terminated|died)(?: \w+)? (?:on|by|with|due to) signal {_N} \(?(?:SIG)?"
    r"(?:SEGV|ABRT|BUS|ILL|FPE|KILL)"
    r"|\bSIG(?:SEGV|ABRT|BUS|ILL|FPE)\b"
    r"|\b(?:abnormal exit|exited abnormally|terminated abnormally)\b.{0,40}\bsignal[= ](?:4|6|7|8|9|11)\b"
    r"|\b(?:exited|killed|terminated|died)(?: \w+)?,? (?:on|by|with|due to)(?: a)? signal[= ](?:4|6|7|8|9|11)\b"
)
_ANSWERED = re.compile(
    r"(?:\bHTTP/[^\s\"]+\"? |\b(?:[A-Za-z_]*[Ss]tatus(?:_?[Cc]ode)?|[Rr]esponse_?[Cc]ode)[\"']?[=:] ?[\"']?"
    r"|\"(?:GET|POST|PUT|DELETE|PATCH|HEAD|OPTIONS) [^\"]*\" )5[0-9]{2}(?![\w.])"
    r"|\bSent 5[0-9]{2} in |\bRequest finished HTTP/\S+ [A-Z]+ \S+ (?:- )+5[0-9]{2}\b"
    r"|(?:<\*>|\b5[0-9]{2}) (?:Internal Server Error|Bad Gateway|Service Unavailable|Gateway Time-?out)\b"
)


def reports_server_error(message: str) -> bool:
    """Whether it is of a request that was answered with a status of 500 or more, or with gRPC's code for that.

    :param message: masked, without its header.
    """
    hinted = "HTTP/" in message or "tatus" in message or '" 5' in message or "Server" in message or "Gateway" in message
    hinted = hinted or "Unavail" in message or "esponse" in message or "Sent 5" in message
    return (hinted and _ANSWERED.search(message) is not None) or failed_with(message) is not None


_CLASS = re.compile(
    r"\b((?:[A-Za-z_]\w*[.$])*[A-Za-z_]\w*(?:Exception|Error|Throwable|Fault|Interrupt|Exit|Panic))\b(?=\s*(?::|\(|$|\s|,|;|\]))"
)


def exception_in(line: str) -> str | None:
    """The class of the exception that a single line names, None if it names none.

    :param line: the line, or its masked form.
    """
    match = _CLASS.search(line)
    return match[1] if match and match[1].upper() not in LEVELS else None


_TROUBLE = re.compile(
    r"(?i)(?<![\w./-])(?:"
    r"errors?|errno|fail(?:ed|ures?|s|ing)?|exceptions?|fatal|panic(?:ked)?|abort(?:ed|ing|s)?|denied|refused|invalid"
    r"|unable|cannot|could ?n[o']t|can'?t|timed[ -]?out|time-?outs?|killed|crash(?:ed|es|ing)?|corrupt(?:ed|ion)?|lost"
    r"|unavailable|unreachable|reject(?:ed|s)?|severe|critical|illegal|unexpected(?:ly)?|violation|broken|deadlock(?:ed)?"
    r"|overflow(?:ed)?|exceeded|exhausted|no such|not (?:permitted|authori[sz]ed|allowed)"
    r"|unauthori[sz]ed|forbidden|segfault|fault|unrecoverable"
    r"|malformed|insufficient|mismatch(?:ed)?|out of (?:memory|space|range)|no space left"
    r"|command not found|execution halted|dropped|disconnected|abend(?:ed|s)?|abnormal(?:ly)?|inaccessible|degraded"
    r"|unhealthy|bogus|abandoned|bounced|quarantined|poisoned|stalled"
    r"|desync(?:ed|hronized)?|hung|lockup|unresponsive|(?:not|stopped) responding|has died"
    r"|(?:is|are|went|gone) (?:down|offline)|blocked for more than|(?:gave|giving) up"
    r"|(?<=won.t )(?:start|run|open|load|boot|connect|respond)"
    r"|bad[ _-](?:request|gateway|certificate|record|checksum|magic|header|data|sector|block|password|format|message"
    r"|credentials|response)"
    r"|not found|no longer (?:reachable|available|accessible|responding|valid|exists?)|reset by peer|no route to host"
    r"|(?-i:ERR_[A-Z]{2,}[A-Z_]*)"
    r")(?![\w-]|\.\w"
    r"|[=:] ?(?:(?:<\*>|\d+|no|none|nil|null|false|\"\"|'')?(?:[,;)\]}]|$)|(?:<\*>|none|nil|null) \w+[=:]))"
)
_NO_TROUBLE = re.compile(
    r"(?i)\b(?:no|without|zero|0) (?:\w+ )?(?:errors?|failures?|exceptions?|time-?outs?)\b"
    r"|<\*> (?:errors|failures|exceptions|time-?outs)\b"
    r"|\b(?:ignor(?:e|ed|ing)|handl(?:e|ed|ing)|correct(?:ed|ing|able)|recover(?:ed|ing)|resolv(?:ed|ing))\b.{0,20}"
    r"\b(?:errors?|failures?|exceptions?)\b"
    r"|\b(?:errors?|failures?|exceptions?)\b.{0,20}\b(?:corrected|recovered|resolved|cleared|ignored)\b"
)


_ABOUT_TROUBLE = re.compile(  # what there is for errors, and what is named after them
    r"(?i)\b(?:errors?|exceptions?|faults?|failures?|crash|aborts?|time-?outs?) (?:handl(?:er|ing)|support|page|log"
    r"|rate|count|counter|code|detect(?:ion|or)|correct(?:ion|or)|report(?:er|ing|s)?|recovery|tolerance|injection|dialog"
    r"|collector|isolation|budget|threshold|policy|setting)s?\b"
)
_PAYLOAD = re.compile(r"\s*(?:\"[\w.-]+\" ?:|</?[A-Za-z][\w:.-]*[ />])")  # a member of JSON, an element of XML


def suggests_failure(message: str) -> bool:
    """Whether words of a message that states no level say that something failed.

    Words are a weaker sign than a level: a key with a number or nothing behind it (``errors=0``), a name
    (``error.html``) and a failure that is denied or mended say nothing.

    :param message: masked, without its header.
    """
    beginning = message[:_REACH]
    if _PAYLOAD.match(beginning):
        return False
    if suggests_failure_elsewhere(beginning):
        return True
    if _TROUBLE.search(beginning) is None or _NO_TROUBLE.search(beginning) is not None:
        return False
    return _TROUBLE.search(_ABOUT_TROUBLE.sub("", beginning)) is not None
