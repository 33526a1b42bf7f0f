"""What went wrong with a request, as an error of the service's family: what may be tried again, what may not."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow_cd.errors import Refused, Unavailable
from airflow_cd.http.endpoint import Endpoint
from airflow_cd.http.exchange import Answer, ExchangeFailed, FailureKind, Request
from airflow_cd.http.redaction import shown_address
from airflow_cd.http.retry import UNPROCESSED_STATUSES, TryAgain
from airflow_cd.http.stated_limits import asked_pause


def refused(endpoint: Endpoint, answer: Answer) -> Refused | TryAgain:
    """Return what an answer that is not a success means.

    :param endpoint: that answered.
    :param answer: with a status outside of 200 to 299.
    """
    status, title, reason = answer.status, endpoint.title, endpoint.reason_of(answer)
    if endpoint.retry.retries(status):
        return TryAgain(_unavailable(endpoint, answer, reason), unprocessed=status in UNPROCESSED_STATUSES)
    if status in (401, 402, 403):
        problem = "does not accept the credentials" if status == 401 else "does not allow this"
        return endpoint.errors.unauthorized(
            f"{title} {problem} ({status}): {reason}.",
            next_step=f"Check login and password of connection {endpoint.conn_id!r}, and what they allow.",
        )
    if 300 <= status < 400:
        return redirect_refused(endpoint, answer)
    if status == 404 and not answer.is_json and endpoint.errors.passing_404:
        return not_json(endpoint, answer)
    next_step = "Correct the request; sending it again cannot help."
    # Some services say in plain text what is wrong with a query; no proxy says more than a page. One that names the
    # path of the base URL does not know that.
    base = urlsplit(endpoint.base_url).path.encode()
    in_words = status == 400 and answer.content.strip() and not answer.content.lstrip().startswith(b"<")
    in_words = in_words and not (base and base in answer.content)
    if not answer.is_json and not in_words:
        next_step = f"Check whether the host of connection {endpoint.conn_id!r} is the base URL of this API."
    return endpoint.errors.rejected(f"{title} rejected the request ({status}): {reason}.", next_step=next_step)


def redirect_refused(endpoint: Endpoint, answer: Answer) -> Refused:
    """Return the error of a redirect that is not followed.

    :param endpoint: that answered.
    :param answer: the redirect.
    """
    place = endpoint.redact.line(shown_address(answer.headers.get("location", "")))
    return endpoint.errors.misconfigured(
        f"{endpoint.title} redirects ({answer.status}) to {place or 'nowhere'}, which is not followed: credentials are "
        "not sent there.",
        next_step="Set the connection's host, or region, to where the service really is.",
    )


def not_json(endpoint: Endpoint, answer: Answer) -> TryAgain:
    """Return the failure of an answer without JSON: of a success, or of what is not found.

    :param endpoint: that answered.
    :param answer: its answer.
    """
    kind = answer.headers.get("content-type") or "no content type"
    error = _unreachable(
        endpoint,
        f"answered {answer.status} with something that is not JSON ({kind}): {endpoint.excerpt(answer.content)!r}",
        f"Check whether the host of connection {endpoint.conn_id!r} is the base URL of this API: a proxy or a login "
        "page may be answering.",
    )
    return TryAgain(error, not_json=True)


def unanswered(
    endpoint: Endpoint, failed: ExchangeFailed, request: Request, timeout: float
) -> Refused | Unavailable | TryAgain:
    """Return the failure of a request without an answer.

    :param endpoint: that did not answer.
    :param failed: why.
    :param request: what was sent.
    :param timeout: seconds it was given.
    """
    if failed.kind is FailureKind.TLS:
        return _unreachable(
            endpoint,
            f"cannot be trusted, TLS failed: {failed.detail}",
            "Check the URL, the certificate, and 'verify' (the path of a CA bundle) in the connection's extra.",
        )
    if failed.kind is FailureKind.TOO_LARGE:
        return endpoint.errors.too_large(
            f"{endpoint.title} sent an answer of more than {endpoint.max_bytes} bytes.",
            next_step="Ask for less at a time.",
        )
    if failed.kind is FailureKind.UNUSABLE:
        return endpoint.errors.misconfigured(
            f"{endpoint.title} cannot be called: {endpoint.redact.line(failed.detail)}.",
            next_step=f"Correct connection {endpoint.conn_id!r}: host, password, TLS settings and headers.",
        )
    if failed.kind is FailureKind.TIMEOUT:
        what = f"timed out: no answer to {request.method} {request.path} within {timeout:.3g} s"
    else:
        what = f"cannot be reached: {failed.detail}"
    return TryAgain(_unreachable(endpoint, what), unprocessed=failed.unprocessed)


def out_of_time(endpoint: Endpoint, seconds: float) -> Unavailable:
    """Return the error of an operation whose deadline is over.

    :param endpoint: that was called.
    :param seconds: the deadline.
    """
    return _unreachable(
        endpoint,
        f"did not answer within {seconds:g} s in all",
        "Raise 'deadline' in the connection's extra, or ask for less at a time.",
    )


def _unreachable(endpoint: Endpoint, what: str, next_step: str = "") -> Unavailable:
    return endpoint.errors.unavailable(
        f"{endpoint.title} {endpoint.redact.line(what)}.",
        next_step=next_step or "Check that it is up and can be reached from this machine; then try again.",
    )


def _unavailable(endpoint: Endpoint, answer: Answer, reason: str) -> Unavailable:
    retry_after = asked_pause(answer.headers, answer.status)
    if answer.status == 429:
        return endpoint.errors.throttled(
            f"{endpoint.title} is limiting the rate of requests (429): {reason}.",
            retry_after=retry_after,
            next_step="Send fewer requests at a time, or use credentials with a higher limit.",
        )
    problem = "returned a server error" if answer.status >= 500 else "could not take the request"
    return endpoint.errors.unavailable(
        f"{endpoint.title} {problem} ({answer.status}): {reason}.",
        retry_after=retry_after,
        next_step="Check the status of the service; then try again.",
    )
