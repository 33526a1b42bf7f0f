# ruff: noqa: E501 - a layout is one line
"""Default layouts of common loggers, as their own documentation has them.

Written down from what the loggers document, not from what this project reads. A layout is a format string; its fields
are the time ``t``, milliseconds ``ms`` and microseconds ``us``, seconds ``epoch`` and milliseconds ``epoch_ms`` since
1970, ``host``, ``pid``, ``thread``, ``line`` of the source, ``number`` of the request, ``level`` in the logger's words,
``message``, and ``quoted``, the message as JSON has it.
"""

from __future__ import annotations

from dataclasses import dataclass

UPPER = ("INFO", "WARNING", "ERROR")
WARN = ("INFO", "WARN", "ERROR")
PADDED = ("INFO ", "WARN ", "ERROR")
LEFT = (" INFO", " WARN", "ERROR")
LOWER = ("info", "warning", "error")
LOWER_WARN = ("info", "warn", "error")
LETTERS = ("I", "W", "E")
SHORT = ("INF", "WRN", "ERR")
BUNYAN = ("30", "40", "50")
SYSLOG = ("6", "4", "3")


@dataclass(frozen=True)
class Layout:
    """How a logger writes a record.

    :param logger: which, with the layout where it has several.
    :param levels: what it writes for information, a warning and an error.
    :param layout: see this module.
    """

    logger: str
    levels: tuple[str, str, str]
    layout: str


_S = "{t:%Y-%m-%d %H:%M:%S}"
_T = "{t:%Y-%m-%dT%H:%M:%S}"

LAYOUTS = (
    # Python
    Layout("Python logging, basicConfig", UPPER, "{level}:shop.cart:{message}"),
    Layout("Python logging, cookbook", UPPER, _S + ",{ms:03} - shop.cart - {level} - {message}"),
    Layout(
        "loguru", ("INFO    ", "WARNING ", "ERROR   "), _S + ".{ms:03} | {level} | shop.cart:add:{line} - {message}"
    ),
    Layout("structlog", ("info     ", "warning  ", "error    "), _S + " [{level}] {message:<40} number={number}"),
    Layout(
        "structlog JSON",
        LOWER,
        '{{"number": {number}, "event": {quoted}, "level": "{level}", "timestamp": "' + _T + '.{us:06}Z"}}',
    ),
    Layout("Celery", UPPER, "[" + _S + ",{ms:03}: {level}/MainProcess] {message}"),
    Layout("Gunicorn", UPPER, "[" + _S + " +0000] [{pid}] [{level}] {message}"),
    Layout("Uvicorn", ("INFO:    ", "WARNING: ", "ERROR:   "), "{level} {message}"),
    Layout("Airflow task", UPPER, "[" + _T + ".{ms:03}+0000] {{cart.py:{line}}} {level} - {message}"),
    Layout("Scrapy", UPPER, _S + " [shop.cart] {level}: {message}"),
    Layout("Tornado", LETTERS, "[{level} {t:%y%m%d %H:%M:%S} web:{line}] {message}"),
    Layout("Jupyter", LETTERS, "[{level} " + _S + ".{ms:03} ServerApp] {message}"),
    Layout("Odoo", UPPER, _S + ",{ms:03} {pid} {level} shopdb odoo.addons.cart: {message}"),
    Layout("oslo.log", UPPER, _S + ".{ms:03} {pid} {level} shop.cart [req-{number:08x} - - - - -] {message}"),
    Layout(
        "Salt",
        ("INFO    ", "WARNING ", "ERROR   "),
        _S + ",{ms:03} [shop.cart       :{line} ][{level}][{pid}] {message}",
    ),
    Layout("Home Assistant", UPPER, _S + ".{ms:03} {level} (MainThread) [shop.cart] {message}"),
    Layout(
        "AWS Lambda, Python", UPPER, "[{level}]\t" + _T + ".{ms:03}Z\t8f5a1c2e-7b1d-4f0e-9c3a-{number:012x}\t{message}"
    ),
    # Java and other languages of its machine
    Layout("Logback", PADDED, "{t:%H:%M:%S}.{ms:03} [main] {level} com.acme.Cart - {message}"),
    Layout("Log4j 2", WARN, "{t:%H:%M:%S}.{ms:03} [main] {level} com.acme.Cart - {message}"),
    Layout("Log4j 1, TTCC", PADDED, "{number}{ms:03} [main] {level} com.acme.Cart  - {message}"),
    Layout(
        "Spring Boot 2",
        LEFT,
        _S + ".{ms:03} {level} {pid} --- [nio-8080-exec-{thread}] com.acme.shop.Cart                       : {message}",
    ),
    Layout(
        "Spring Boot 3",
        LEFT,
        _T
        + ".{ms:03}Z {level} {pid} --- [shop] [nio-8080-exec-{thread}] com.acme.shop.Cart                       : {message}",
    ),
    Layout(
        "java.util.logging",
        ("INFO", "WARNING", "SEVERE"),
        "{t:%b %d, %Y %I:%M:%S %p} com.acme.Cart add\n{level}: {message}",
    ),
    Layout(
        "Tomcat",
        ("INFO", "WARNING", "SEVERE"),
        "{t:%d-%b-%Y %H:%M:%S}.{ms:03} {level} [http-nio-8080-exec-{thread}] com.acme.Cart.add {message}",
    ),
    Layout("WildFly", PADDED, "{t:%H:%M:%S},{ms:03} {level} [com.acme.Cart] (default task-{thread}) {message}"),
    Layout("Quarkus", PADDED, _S + ",{ms:03} {level} [com.acm.Cart] (executor-thread-{thread}) {message}"),
    Layout("Dropwizard", PADDED, "{level} [" + _S + ",{ms:03}] com.acme.Cart: {message}"),
    Layout("Play", PADDED, _S + " {level} com.acme.Cart  {message}"),
    Layout(
        "Akka",
        WARN,
        "[{level}] [{t:%m/%d/%Y %H:%M:%S}.{ms:03}] [shop-akka.actor.default-dispatcher-{thread}] [akka://shop/user/cart] {message}",
    ),
    Layout("Jetty", WARN, _S + ".{ms:03}:{level}:ca.Cart:qtp{line}-{thread}: {message}"),
    Layout("Elasticsearch", PADDED, "[" + _T + ",{ms:03}][{level}][o.e.c.Cart               ] [{host}] {message}"),
    Layout("Cassandra", PADDED, "{level} [main] " + _S + ",{ms:03} Cart.java:{line} - {message}"),
    Layout("Kafka", WARN, "[" + _S + ",{ms:03}] {level} {message} (com.acme.Cart)"),
    Layout("ZooKeeper", PADDED, _S + ",{ms:03} [myid:1] - {level} [main:Cart@{line}] - {message}"),
    Layout("Hadoop", WARN, _S + ",{ms:03} {level} com.acme.Cart: {message}"),
    Layout("Neo4j", PADDED, _S + ".{ms:03}+0000 {level} {message}"),
    Layout("Solr", PADDED, _S + ".{ms:03} {level} (qtp{line}-{thread}) [ x:shop] c.a.Cart {message}"),
    Layout(
        "Logstash encoder",
        WARN,
        '{{"@timestamp":"'
        + _T
        + '.{ms:03}Z","@version":"1","message":{quoted},"logger_name":"com.acme.Cart","thread_name":"main","level":"{level}","level_value":20000}}',
    ),
    # Go
    Layout("logrus", LOWER, 'time="' + _T + 'Z" level={level} msg={quoted} number={number}'),
    Layout("logrus, terminal", ("INFO", "WARN", "ERRO"), "{level}[{number:04}] {message:<44} number={number}"),
    Layout(
        "zap production",
        LOWER_WARN,
        '{{"level":"{level}","ts":{epoch}.{us:06},"caller":"cart/cart.go:{line}","msg":{quoted},"number":{number}}}',
    ),
    Layout("zap development", WARN, _T + '.{ms:03}Z\t{level}\tcart/cart.go:{line}\t{message}\t{{"number": {number}}}'),
    Layout("zerolog", LOWER_WARN, '{{"level":"{level}","number":{number},"time":"' + _T + 'Z","message":{quoted}}}'),
    Layout("zerolog console", SHORT, "{t:%I:%M%p} {level} {message} number={number}"),
    Layout("slog text", WARN, "time=" + _T + ".{ms:03}Z level={level} msg={quoted} number={number}"),
    Layout("slog JSON", WARN, '{{"time":"' + _T + '.{us:06}000Z","level":"{level}","msg":{quoted},"number":{number}}}'),
    Layout("slog default", WARN, "{t:%Y/%m/%d %H:%M:%S} {level} {message} number={number}"),
    Layout("log15", ("INFO", "WARN", "EROR"), "{level}[{t:%m-%d|%H:%M:%S}] {message:<40} number={number}"),
    Layout("go-kit", LOWER_WARN, "ts=" + _T + ".{ms:03}Z caller=cart.go:{line} level={level} msg={quoted}"),
    Layout("hclog", ("[INFO] ", "[WARN] ", "[ERROR]"), _T + ".{ms:03}Z {level} shop: {message}: number={number}"),
    Layout("klog", LETTERS, "{level}{t:%m%d %H:%M:%S}.{us:06}       {thread} cart.go:{line}] {message}"),
    Layout("Grafana", LOWER_WARN, "logger=cart t=" + _T + ".{us:06}Z level={level} msg={quoted} number={number}"),
    Layout("Caddy console", PADDED, "{t:%Y/%m/%d %H:%M:%S}.{ms:03}\t{level}\tshop.cart\t{message}"),
    Layout(
        "CockroachDB",
        LETTERS,
        "{level}{t:%y%m%d %H:%M:%S}.{us:06} {thread} shop/cart.go:{line} ⋮ [n1] {number} {message}",
    ),
    # Rust, C++, Swift
    Layout("env_logger", PADDED, "[" + _T + "Z {level} shop::cart] {message}"),
    Layout("tracing", LEFT, _T + ".{us:06}Z {level} shop::cart: {message} number={number}"),
    Layout("fern", WARN, "[" + _S + " {level} shop::cart] {message}"),
    Layout("slog-rs", ("INFO", "WARN", "ERRO"), "{t:%b %d %H:%M:%S}.{ms:03} {level} {message}, number: {number}"),
    Layout("glog", LETTERS, "{level}{t:%Y%m%d %H:%M:%S}.{us:06} {pid} cart.cc:{line}] {message}"),
    Layout("spdlog", LOWER, "[" + _S + ".{ms:03}] [cart] [{level}] {message}"),
    Layout("Boost.Log", LOWER, "[" + _S + ".{us:06}] [0x00007f3a5c1d{thread:04x}] [{level}]    {message}"),
    Layout("Envoy", LOWER, "[" + _S + ".{ms:03}][{thread}][{level}][main] [source/server/cart.cc:{line}] {message}"),
    Layout("swift-log", LOWER, _T + "+0000 {level} shop : [cart] {message}"),
    # JavaScript
    Layout("pino", BUNYAN, '{{"level":{level},"time":{epoch_ms},"pid":{pid},"hostname":"{host}","msg":{quoted}}}'),
    Layout("pino-pretty", WARN, "[{t:%H:%M:%S}.{ms:03}] {level} ({pid}): {message}"),
    Layout(
        "Bunyan",
        BUNYAN,
        '{{"name":"shop","hostname":"{host}","pid":{pid},"level":{level},"msg":{quoted},"time":"'
        + _T
        + '.{ms:03}Z","v":0}}',
    ),
    Layout("winston simple", LOWER_WARN, "{level}: {message}"),
    Layout("winston JSON", LOWER_WARN, '{{"level":"{level}","message":{quoted},"number":{number}}}'),
    Layout("log4js", WARN, "[" + _T + ".{ms:03}] [{level}] cart - {message}"),
    Layout(
        "NestJS",
        ("    LOG", "   WARN", "  ERROR"),
        "[Nest] {pid}  - {t:%m/%d/%Y, %I:%M:%S %p} {level} [CartService] {message}",
    ),
    Layout("AWS Lambda, Node.js", WARN, _T + ".{ms:03}Z\t8f5a1c2e-7b1d-4f0e-9c3a-{number:012x}\t{level}\t{message}"),
    # PHP, Ruby, Perl, R
    Layout("Monolog", UPPER, "[" + _T + ".{us:06}+00:00] shop.{level}: {message} " + '{{"number":{number}}} []'),
    Layout("Laravel", UPPER, "[" + _S + "] production.{level}: {message}"),
    Layout(
        "PHP error_log",
        ("Notice", "Warning", "Fatal error"),
        "[{t:%d-%b-%Y %H:%M:%S} UTC] PHP {level}:  {message} in /srv/shop/cart.php on line {line}",
    ),
    Layout(
        "Ruby Logger", (" INFO", " WARN", "ERROR"), "{level[1]}, [" + _T + ".{us:06} #{pid}] {level} -- : {message}"
    ),
    Layout("SemanticLogger", LETTERS, _S + ".{us:06} {level} [{pid}:puma threadpool {thread:03}] Cart -- {message}"),
    Layout("Sidekiq", WARN, _T + ".{ms:03}Z pid={pid} tid={thread:x}kq {level}: {message}"),
    Layout("Log4perl", WARN, "{t:%Y/%m/%d %H:%M:%S} {level}> cart.pl:{line} main::add - {message}"),
    Layout("R logger", UPPER, "{level} [" + _S + "] {message}"),
    # .NET
    Layout(".NET console", ("info", "warn", "fail"), "{level}: Shop.Cart[{thread}]\n      {message}"),
    Layout("Serilog console", SHORT, "[{t:%H:%M:%S} {level}] {message}"),
    Layout("Serilog file", SHORT, _S + ".{ms:03} +00:00 [{level}] {message}"),
    Layout(
        "Serilog JSON",
        ("Information", "Warning", "Error"),
        '{{"Timestamp":"' + _T + '.{us:06}0+00:00","Level":"{level}","MessageTemplate":{quoted}}}',
    ),
    Layout("NLog", WARN, _S + ".{ms:03}0|{level}|Shop.Cart|{message}"),
    Layout("log4net", PADDED, _S + ",{ms:03} [{thread}] {level} Shop.Cart - {message}"),
    # Erlang and Elixir
    Layout("Elixir", LOWER, "{t:%H:%M:%S}.{ms:03} [{level}] {message}"),
    Layout("RabbitMQ", LOWER, _S + ".{us:06}+00:00 [{level}] <0.{line}.0> {message}"),
    Layout("Erlang", LOWER, _T + ".{us:06}+00:00 {level}: {message}"),
    # Servers and systems
    Layout("PostgreSQL", ("LOG", "WARNING", "ERROR"), _S + ".{ms:03} UTC [{pid}] {level}:  {message}"),
    Layout(
        "MySQL 8",
        ("Note", "Warning", "ERROR"),
        _T + ".{us:06}Z {thread} [{level}] [MY-010{line:03}] [Server] {message}",
    ),
    Layout("MariaDB", ("Note", "Warning", "ERROR"), _S + " {thread} [{level}] {message}"),
    Layout(
        "MongoDB",
        LETTERS,
        '{{"t":{{"$date":"'
        + _T
        + '.{ms:03}+00:00"}},"s":"{level}",  "c":"CART",     "id":22{line:03},   "ctx":"conn{thread}","msg":{quoted}}}',
    ),
    Layout(
        "ClickHouse",
        ("Information", "Warning", "Error"),
        "{t:%Y.%m.%d %H:%M:%S}.{us:06} [ {pid} ] {{}} <{level}> Cart: {message}",
    ),
    Layout("nginx", ("notice", "warn", "error"), "{t:%Y/%m/%d %H:%M:%S} [{level}] {pid}#{thread}: *{number} {message}"),
    Layout(
        "Apache httpd",
        ("core:notice", "core:warn", "core:error"),
        "[{t:%a %b %d %H:%M:%S}.{us:06} {t:%Y}] [{level}] [pid {pid}:tid 1400{thread:03}] {message}",
    ),
    Layout("HAProxy", ("[NOTICE]  ", "[WARNING] ", "[ALERT]   "), "{level} ({pid}) : {message}"),
    Layout("syslog, RFC 5424", ("134", "132", "131"), "<{level}>1 " + _T + ".{ms:03}Z {host} shop {pid} - - {message}"),
    Layout("syslog, RFC 3164", ("134", "132", "131"), "<{level}>{t:%b %e %H:%M:%S} {host} shop[{pid}]: {message}"),
    Layout(
        "journald JSON",
        SYSLOG,
        '{{"PRIORITY":"{level}","_HOSTNAME":"{host}","_PID":"{pid}","SYSLOG_IDENTIFIER":"shop","__REALTIME_TIMESTAMP":"{epoch_ms}000","MESSAGE":{quoted}}}',
    ),
    Layout(
        "GELF",
        SYSLOG,
        '{{"version":"1.1","host":"{host}","short_message":{quoted},"timestamp":{epoch}.{ms:03},"level":{level}}}',
    ),
    Layout(
        "ECS",
        WARN,
        '{{"@timestamp":"'
        + _T
        + '.{ms:03}Z","log.level":"{level}","message":{quoted},"ecs.version":"1.2.0","process.pid":{pid}}}',
    ),
    Layout(
        "OpenTelemetry",
        ("9", "13", "17"),
        '{{"timeUnixNano":"{epoch_ms}000000","severityNumber":{level},"body":{{"stringValue":{quoted}}}}}',
    ),
    Layout("logcat", LETTERS, "{t:%m-%d %H:%M:%S}.{ms:03}  {pid}  {thread} {level} Cart    : {message}"),
    Layout(
        "Docker json-file of logrus",
        LOWER,
        '{{"log":"time=\\"'
        + _T
        + 'Z\\" level={level} msg=\\"{message}\\"\\n","stream":"stderr","time":"'
        + _T
        + '.{us:06}000Z"}}',
    ),
    Layout(
        "CRI of Logback",
        PADDED,
        _T + ".{us:06}000Z stdout F {t:%H:%M:%S}.{ms:03} [main] {level} com.acme.Cart - {message}",
    ),
)
