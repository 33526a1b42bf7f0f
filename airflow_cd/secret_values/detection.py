"""What looks like a secret: by its name, by its form, or because Airflow knows it for one.

Forms are those that the services publish for their credentials; how random a text is, is measured as truffleHog and
detect-secrets do: by the Shannon entropy of its characters.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_cd.secret_values.references import (
    HOW_TO_WRITE,
    PLAIN,
    SEALED,
    SECRET,
    Reference,
    leaves,
    name_of,
)

_LEAST_RANDOM_LENGTH = 20
_LONGEST_LOOKED_AT = 4096
_BITS_A_CHARACTER = 3.6
"""Names and words joined by dashes have 3.0 to 3.5; 20 random letters and digits 3.9 to 4.3."""
_CHANGES_OF_THREE, _CHANGES_OF_TWO = 0.38, 0.22
_LEAST_IN_A_ROW = 8

_FORMS = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("a private key", r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY"),
        ("a token of GitHub", r"\b(gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
        ("a token of GitLab", r"\bgl(pat|dt|rt|ptt|cbt|soat)-[A-Za-z0-9_-]{16,}"),
        ("a token of Slack", r"\bxox[abeprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T[A-Z0-9]+/B"),
        ("an access key of AWS", r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
        ("a key of Google", r"\bAIza[A-Za-z0-9_-]{30,}|\bya29\.[A-Za-z0-9_-]{20,}|\bGOCSPX-[A-Za-z0-9_-]{20,}"),
        ("a key of Azure", r"(AccountKey|SharedAccess(Key|Signature))=[A-Za-z0-9+/%=]{16,}|[?&]sig=[\w%+/]{20,}"),
        ("a key of Stripe", r"\b[rs]k_(live|test)_[A-Za-z0-9]{10,}"),
        ("a key of New Relic", r"\bNR(AK|II|AA|JS|IQ|RA)-[A-Za-z0-9_-]{10,}|\b[a-f0-9]{36}NRAL\b"),
        ("a key of SendGrid", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
        ("a token of npm", r"\bnpm_[A-Za-z0-9]{30,}"),
        ("a token of PyPI", r"\bpypi-[A-Za-z0-9_-]{30,}"),
        ("a token of Docker", r"\bdckr_(pat|oat)_[A-Za-z0-9_-]{20,}"),
        ("a token of Vault", r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}"),
        ("a token of DigitalOcean", r"\bdo[op]_v1_[a-f0-9]{40,}"),
        ("a token of Hugging Face", r"\bhf_[A-Za-z0-9]{30,}"),
        ("a key of an AI service", r"\bsk-(ant-|proj-)?[A-Za-z0-9_-]{20,}"),
        ("a token of Airflow or another (JWT)", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\."),
        ("a key of age", r"\bAGE-SECRET-KEY-1[A-Z0-9]{40,}"),
        ("a Fernet key", r"^[A-Za-z0-9_-]{43}=$"),
        ("an authorization header", r"^(?i:bearer|basic|token|digest)\s+[A-Za-z0-9+/._~=-]{8,}$"),
        ("a URL with a password", r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@]*:[^\s/?#@]+@|://[^\s/?#@]{16,}@"),
        ("a URL with a credential", r"(?i)[?&;](access_?token|api_?key|auth|token|passw(or)?d|pwd|secret)=[^&\s]{4,}"),
        ("a connection string", r"(?i)\b(password|pwd)\s*=\s*(?!\$\{\w+\})[^;\s]{3,}"),
    )
)  # fmt: skip
_SECRET_NAMES = (
    "passw", "passphrase", "passcode", "secret", "token", "api_key", "apikey", "access_key", "accesskey",
    "private_key", "privatekey", "credential", "authorization", "auth_header", "bearer", "connection_string", "dsn",
    "signing_key", "encryption_key", "client_key", "service_key", "account_key", "fernet_key", "webhook_url", "pwd",
)  # fmt: skip
# As the last word of a name only: "pass_rate" and "first_pass" are no passwords.
_PASSWORDS = frozenset((
    "pass", "pw", "psw", "pswd", "passwd", "passphrase", "passcode", "pwd", "password", "passwort", "kennwort",
    "losungswort", "geheimnis", "passe", "mdp", "motdepasse", "contrasena", "contraseña", "senha", "wachtwoord",
    "haslo", "hasło", "heslo", "losenord", "lösenord", "passord", "adgangskode", "salasana", "jelszo", "jelszó",
    "parola", "sifre", "şifre", "lozinka", "пароль", "密码", "密碼", "パスワード", "비밀번호",
))  # fmt: skip
_PASSES = re.compile(r"(?<!by)(?<!com)(?<!tres)(?<!over)(?<!under)(?<!sur)pass$|(?<=[a-z]{2})pw$")
_NOT_BEFORE_PASS = frozenset((
    "first", "second", "third", "last", "next", "one", "two", "single", "multi", "low", "high", "band", "all", "by",
    "boarding", "season", "day", "proxy",
))  # fmt: skip
_PLACES = frozenset(("file", "files", "filename", "path", "paths", "dir", "directory", "folder", "mount", "location"))
_PATH = re.compile(r"^(file://)?([A-Za-z]:)?[\w.~@%+-]*([/\\][\w.~@%+-]+)+[/\\]?$|^[\w@%+-]+(\.[A-Za-z]\w{0,9})+$")
_FROM_ENVIRONMENT = re.compile(r"^\$\{\w+\}$|^\$[A-Z][A-Z0-9]*_[A-Z0-9_]+$")
_ASSIGNED = re.compile(r"""(?:^|[\s;,&|'"(\[{])-{0,2}([^\W\d][\w.-]*)["']?\s?(?:=|(?<=["']):)\s?["']?([^\s"',;&]+)""")
_MOST_ASSIGNMENTS = 500
_NUMBER = re.compile(r"^[0-9]{1,6}\Z")
_OPTION = re.compile(r"^--?[A-Za-z][\w-]{0,99}\Z")
_PUBLIC_NAMES = (
    "commit",
    "sha",
    "digest",
    "checksum",
    "revision",
    "hash",
    "fingerprint",
    "image",
    "public_key",
    "etag",
)
_SETTING = re.compile(
    r"(?i)^(|true|false|yes|no|on|off|none|null|default|required|optional|enabled|disabled"
    r"|[-+]?[0-9][0-9.,_]{0,8}\s?(ms|s|m|h|d|kb|mb|gb|%)?)$"
)
_UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
_HEX = re.compile(r"^[0-9a-fA-F]{32,}$")
_RANDOM = re.compile(rf"[A-Za-z0-9+/_=-]{{{_LEAST_RANDOM_LENGTH},}}")
_PLAIN_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^\s@?#]+$")


def mistakes(configuration: Mapping[str, Any], what: str) -> Iterator[str]:
    """What is wrong with a configuration that a person has written, one sentence each; none quotes a value.

    :param configuration: JSON values.
    :param what: whose it is, such as ``environment 'dev'``.
    """
    for path, meant, value in _named_values(configuration):
        name = _named(path)
        if isinstance(value, str) and value.startswith(SECRET):
            try:
                Reference.parse(value)
            except ValueError as error:
                yield f"{what}: {name} of the configuration cannot be read: {error}"
        elif isinstance(value, str) and value.startswith(SEALED):
            yield (
                f'{what}: {name} of the configuration begins with "{SEALED}", which only the ledger writes. '
                f"{HOW_TO_WRITE}"
            )
        elif why := suspicion(meant, value):
            yield f"{what}: {name} of the configuration looks like a secret: {why}. {HOW_TO_WRITE}"


def _named_values(configuration: Any) -> Iterator[tuple[str, str, Any]]:
    """Every value with its path, and the path by which it is judged: that of what the value is said to be.

    A list of variables says it beside the value, ``{"name": "DB_PASSWORD", "value": ...}``, and a command line before
    it, ``["--password", ...]``.
    """
    found = dict(leaves(configuration))
    for path, value in found.items():
        above, _, last = path.rpartition("/")
        said: Any = None
        if last.lower() == "value":
            besides = (found.get(f"{above}/{name}") for name in ("name", "Name", "key", "Key"))
            said = next((name for name in besides if isinstance(name, str)), None)
        elif _NUMBER.match(last) and not str(value).startswith("-"):
            option = found.get(f"{above}/{int(last) - 1}")
            said = option.lstrip("-") if isinstance(option, str) and _OPTION.match(option) else None
        yield path, f"{above}/{said}" if said else path, value


def suspicion(path: str, value: Any) -> str:
    """Why a value looks like a secret, ``""`` if it does not.

    :param path: of the value, with the names above it.
    :param value: a text or a number; any other value is none.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "its name says so" if _is_password_name(path) else ""
    if not isinstance(value, str) or value.startswith((SECRET, SEALED, PLAIN)):
        return ""
    looked_at = value[:_LONGEST_LOOKED_AT]
    if form := form_of(looked_at):
        return f"it is {form}"
    if form := form_of(path):
        return f"its name is {form}"
    if _SETTING.match(looked_at.strip()) and not (looked_at.isdigit() and _is_password_name(path)):
        return ""
    if _is_named_secret(path, looked_at):
        return "its name says so"
    if name := _assigned_secret(looked_at):
        return f"{name!r} in it says so"
    if _masked_by_airflow(value):
        return "Airflow knows it as one"
    return "it is as random as a key" if _is_random(path, looked_at) else ""


def form_of(text: str) -> str:
    """Which known form of a credential is in a text, ``""`` for none.

    :param text: of anything.
    """
    return next((name for name, pattern in _FORMS if pattern.search(text[:_LONGEST_LOOKED_AT])), "")


def _named(path: str) -> str:
    name = name_of(path)
    if form_of(name):
        return "a key"
    return repr(name if len(name) <= 100 else name[:99] + "…")


def _is_named_secret(path: str, value: str) -> bool:
    """Whether a name says that its value is a secret, and the value does not say that it only leads to one."""
    if not _is_secret_name(path) or _PLAIN_URL.match(value) or _FROM_ENVIRONMENT.match(value):
        return False
    return not (_words(name_of(path))[-1] in _PLACES and _PATH.match(value))


def _is_secret_name(path: str) -> bool:
    # The names above count too: everything inside of "credentials" is one.
    snake = "_".join(_words(name_of(path)))
    return any(word in snake for word in _SECRET_NAMES) or _is_password_name(path) or _airflow_hides(snake)


def _is_password_name(path: str) -> bool:
    """Whether the last name of a path is that of a password, in some language."""
    names = [part for part in path.split("/") if not part.isdigit()]
    words = _words(names[-1]) if names else []
    if not words or (words[-1] == "pass" and words[-2:-1] and words[-2] in _NOT_BEFORE_PASS):
        return False
    return words[-1] in _PASSWORDS or bool(_PASSES.search(words[-1])) or words[-1].endswith(("password", "kennwort"))


def _words(name: str) -> list[str]:
    """The words of a name in lower case, whatever they are joined by: ``db_pass``, ``dbPass``, ``db-pass``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", unicodedata.normalize("NFC", name))
    return [word for word in re.split(r"[\W_]+", spaced.lower()) if word] or [""]


def _assigned_secret(text: str) -> str:
    """The name of a secret that a text sets, as ``DB_PASSWORD=...``, ``--db-pass=...`` or in JSON; ``""`` for none."""
    for found in itertools.islice(_ASSIGNED.finditer(text), _MOST_ASSIGNMENTS):
        name, value = found[1], found[2]
        if value.startswith((SECRET, SEALED, PLAIN)) or not _is_secret_name(name):
            continue
        setting = _SETTING.match(value) and not (value.isdigit() and _is_password_name(name))
        if not setting and _is_named_secret(name, value):
            return name
    return ""


def _is_random(path: str, value: str) -> bool:
    if _UUID.match(value) or any(word in path.lower() for word in _PUBLIC_NAMES):
        return False
    if _HEX.match(value):
        return True
    return any(_looks_random(found[0]) for found in _RANDOM.finditer(value))


def _looks_random(text: str) -> bool:
    """Letters of both cases and digits in no order; words, paths and names joined by dashes are none."""
    kinds = [0 if letter.islower() else 1 if letter.isupper() else 2 for letter in re.sub(r"[-_/=+]", "", text)]
    if not kinds:
        return False  # a line of dashes
    changes = sum(before != after for before, after in itertools.pairwise(kinds)) / len(kinds)
    if len(set(kinds)) < 3 and not (2 in kinds and len(set(kinds)) == 2 and len(text) >= 32):
        return False
    # In CamelCase a letter in five is of another kind than the one before it, in base64 two of three.
    if changes < (_CHANGES_OF_THREE if len(set(kinds)) == 3 else _CHANGES_OF_TWO):
        return False
    if max(map(len, re.split(r"[-_/=+]", text))) < _LEAST_IN_A_ROW:
        return False
    counts, total = Counter(text), len(text)
    return -sum(n / total * math.log2(n / total) for n in counts.values()) >= _BITS_A_CHARACTER


def _airflow_hides(name: str) -> bool:
    """Whether Airflow would mask a value of this name, ``[core] sensitive_var_conn_names`` included."""
    return bool(_airflow_masker().should_hide_value_for_key(name))


def _masked_by_airflow(value: str) -> bool:
    """Whether Airflow has read this value as a secret, a connection's password for one."""
    return bool(_airflow_masker().redact(value) != value)


def _airflow_masker() -> Any:
    from airflow.sdk._shared.secrets_masker import _secrets_masker

    return _secrets_masker()
