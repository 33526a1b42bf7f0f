"""One HTTP client for every service that is called, and what it is made of; no Airflow inside.

* :mod:`~airflow_cd.http.client`: requests that are sent again until they are answered;
* :mod:`~airflow_cd.http.endpoint` and :mod:`~airflow_cd.http.failures`: what is called, and the errors that it raises;
* :mod:`~airflow_cd.http.exchange`: a single request and its whole answer, bounded in time and size;
* :mod:`~airflow_cd.http.sockets` and :mod:`~airflow_cd.http.body`: one deadline by the clock, bounded memory;
* :mod:`~airflow_cd.http.session` and :mod:`~airflow_cd.http.auth`: connections and credentials;
* :mod:`~airflow_cd.http.retry`: when a request is sent again, and how long it waits before;
* :mod:`~airflow_cd.http.family`: which errors a service raises, a target's or a source's;
* :mod:`~airflow_cd.http.connection`: the settings of an Airflow connection, checked;
* :mod:`~airflow_cd.http.rate_limit`: keeping to a service's rate limit;
* :mod:`~airflow_cd.http.stated_limits`: what an answer says of that limit;
* :mod:`~airflow_cd.http.redaction`: keeping secrets out of everything that is shown, for git as well.

Nothing is imported here: redaction is needed where DAG files are parsed, requests is not.
"""
