"""What metrics of common exporters, clients and vendors are, by their names alone."""

from __future__ import annotations

import pytest

from airflow_cd.verification.metrics.names.reading import read_name
from airflow_cd.verification.metrics.names.words import words_of
from tests.pace import pace

_WORSE = {"more": "higher_is_worse", "less": "lower_is_worse", "either": "either"}
# Name, kind, which way is worse, and the unit where there is one.
_NAMES = """
node_load1 | gauge | more
node_memory_MemAvailable_bytes | gauge | less | bytes
node_network_receive_bytes_total | gauge | either | bytes
node_disk_io_time_seconds_total | gauge | more | s
node_filesystem_avail_bytes | gauge | less | bytes
node_boot_time_seconds | info | either
node_network_transmit_drop_total | errors | more
node_context_switches_total | count | either
node_timex_offset_seconds | gauge | either | s
node_entropy_available_bits | gauge | less | bits
node_vmstat_oom_kill | count | more
process_max_fds | gauge | either
mysql_global_status_innodb_buffer_pool_reads | count | more
mysql_global_status_select_full_join | count | more
mysql.innodb.handler_read_rnd_next | count | more
mysql.performance.rows_examined | count | more
pg_stat_user_tables_seq_tup_read | count | more
pg_stat_user_tables_seq_scan | count | more
pg_stat_database_tup_inserted | count | less
mongodb_ss_metrics_queryExecutor_scannedObjects | count | more
oracledb_activity_physical_reads | count | more
virus_files_scanned | count | less
messages_read | count | less
sql_queries_per_request | gauge | more
crashes_per_session | gauge | more
failures_per_1000_requests | errors | more | ‰
failures_per_call | errors | more
lines_per_order | gauge | either
revenue_per_visit_eur | gauge | less
spend_per_call_usd | gauge | more
errors_per_route | errors | more
visits_per_minute | count | less
seconds_since_last_success | gauge | more | s
mirror_last_sync_successful | count | less
mirror_last_success_seconds | info | either
process_virtual_memory_bytes | gauge | more | bytes
go_memstats_heap_inuse_bytes | gauge | more | bytes
go_gc_duration_seconds_sum | gauge | more | s
go_info | info | either
go_sched_latencies_seconds{quantile="0.99"} | latency | more | s
promhttp_metric_handler_requests_in_flight | gauge | more
http_server_requests_seconds_count | throughput | less | requests
http_server_requests_seconds_max | latency | more | s
jvm_gc_pause_seconds_max | gauge | more | s
jvm_memory_used_bytes | gauge | more | bytes
jvm_threads_blocked_threads | gauge | more
jvm_buffer_count_buffers | gauge | either
tomcat_sessions_active_current_sessions | gauge | more
tomcat_sessions_rejected_sessions_total | errors | more
tomcat_global_error_total | errors | more
tomcat_threads_busy_threads | gauge | more
logback_events_total | count | less
system_cpu_usage | gauge | more
system_load_average_1m | gauge | more
hikaricp_connections_acquire_seconds_max | latency | more | s
hikaricp_connections_timeout_total | errors | more
hikaricp_connections_idle | gauge | less
resilience4j_circuitbreaker_not_permitted_calls_total | count | more
payment_circuit_breaker_opened | count | more
clock_skew_offset | gauge | either
node_ntp_offset_seconds | gauge | either | s
shard_skew | gauge | more
circuit_breaker_open_total | count | more
circuit_breaker_open | gauge | more
spring_kafka_listener_seconds_count | throughput | less | requests
application_started_time_seconds | info | either
http.server.request.duration | latency | more
http.server.active_requests | gauge | more
http.client.request.body.size | gauge | either
rpc.server.duration | latency | more
db.client.connection.pending_requests | gauge | more
db.client.connection.timeouts | errors | more
messaging.client.consumed.messages | count | less
messaging.process.duration | latency | more
process.cpu.utilization | share | more
system.memory.utilization | share | more
system.network.errors | errors | more
k8s.container.restarts | count | more
k8s.pod.cpu.usage | gauge | more
kube_pod_status_ready | gauge | less
kube_pod_container_status_waiting | gauge | more
kube_deployment_status_replicas_unavailable | gauge | more
kube_pod_info | info | either
kube_pod_container_resource_limits | gauge | either
kube_node_status_condition | gauge | either
kube_job_status_failed | errors | more
container_cpu_cfs_throttled_periods_total | count | more
container_cpu_usage_seconds_total | gauge | more | s
container_memory_rss | gauge | more
container_oom_events_total | count | more
container_start_time_seconds | info | either
container_spec_memory_limit_bytes | gauge | either | bytes
envoy_cluster_upstream_rq_pending_active | gauge | more
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5"} | errors | more
envoy_cluster_upstream_rq_timeout | errors | more
envoy_cluster_upstream_rq_total | throughput | less | requests
envoy_cluster_upstream_cx_connect_fail | errors | more
envoy_cluster_upstream_cx_rx_bytes_total | gauge | either | bytes
envoy_cluster_membership_healthy | gauge | less
envoy_cluster_outlier_detection_ejections_active | gauge | more
envoy_server_uptime | info | either
envoy_http_downstream_rq_time_bucket | latency | more
istio_requests_total | throughput | less | requests
istio_request_duration_milliseconds_bucket | latency | more | ms
istio_request_bytes_sum | gauge | either | bytes
nginx_connections_waiting | gauge | more
nginx_connections_accepted | count | less
nginx_http_requests_total | throughput | less | requests
nginx_up | gauge | less
nginxplus_upstream_server_fails | errors | more
nginx_ingress_controller_success | count | less
nginx_ingress_controller_request_duration_seconds_sum | gauge | more | s
haproxy_backend_current_queue | gauge | more
haproxy_backend_http_responses_total{code="5xx"} | errors | more
haproxy_backend_connection_errors_total | errors | more
haproxy_frontend_current_sessions | gauge | either
haproxy_server_retry_warnings_total | count | more
traefik_service_open_connections | gauge | more
traefik_config_last_reload_success | count | less
caddy_http_requests_in_flight | gauge | more
coredns_dns_responses_total | throughput | less | requests
coredns_cache_hits_total | count | less
coredns_cache_misses_total | count | more
redis_connected_clients | gauge | either
redis_evicted_keys_total | count | more
redis_keyspace_hits_total | count | less
redis_keyspace_misses_total | count | more
redis_memory_used_bytes | gauge | more | bytes
redis_mem_fragmentation_ratio | share | more
redis_commands_processed_total | throughput | less | requests
redis_blocked_clients | gauge | more
redis_rejected_connections_total | errors | more
redis_uptime_in_seconds | info | either
redis_replication_lag_seconds | gauge | more | s
mysql_global_status_slow_queries | count | more
mysql_global_status_threads_running | gauge | more
mysql_global_status_aborted_connects | errors | more
mysql_global_status_queries | throughput | less | requests
mysql_global_variables_max_connections | gauge | either
mysql_slave_status_seconds_behind_master | gauge | more | s
pg_stat_database_deadlocks | count | more
pg_stat_database_xact_commit | count | less
pg_stat_database_xact_rollback | count | more
pg_replication_lag | gauge | more
pg_postmaster_start_time_seconds | info | either
pgbouncer_pools_client_waiting_connections | gauge | more
mongodb_connections_current | gauge | more
mongodb_op_latencies_latency_total | gauge | more
elasticsearch_cluster_health_unassigned_shards | gauge | more
elasticsearch_indices_search_query_time_seconds | latency | more | s
elasticsearch_thread_pool_rejected_count | errors | more
elasticsearch_jvm_memory_used_bytes | gauge | more | bytes
rabbitmq_channel_messages_published_total | count | less
rabbitmq_channel_messages_redelivered_total | count | more
rabbitmq_connections | gauge | more
rabbitmq_disk_space_available_bytes | gauge | less | bytes
rabbitmq_alarms_memory_used_watermark | count | more
kafka_consumergroup_lag | gauge | more
kafka_server_ReplicaManager_UnderReplicatedPartitions | gauge | more
kafka_server_BrokerTopicMetrics_MessagesInPerSec | count | less
kafka_server_BrokerTopicMetrics_FailedProduceRequestsPerSec | errors | more
kafka.network.RequestMetrics.TotalTimeMs.p99 | latency | more | ms
kafka_network_RequestChannel_RequestQueueSize | gauge | more
records-lag-max | gauge | more
records-consumed-rate | count | less
kafka_consumer_fetch_latency_avg | latency | more
CPUUtilization | share | more
TargetConnectionErrorCount | errors | more
HTTPCode_ELB_4XX_Count | errors | more
HTTPCode_Target_2XX_Count | throughput | less | requests
UnHealthyHostCount | gauge | more
HealthyHostCount | gauge | less
RejectedConnectionCount | errors | more
SurgeQueueLength | gauge | more
ApproximateNumberOfMessagesVisible | gauge | more
ApproximateAgeOfOldestMessage | gauge | more
NumberOfMessagesSent | count | less
FreeableMemory | gauge | less
FreeStorageSpace | gauge | less
DatabaseConnections | gauge | more
ReadLatency | latency | more
DiskQueueDepth | gauge | more
BurstBalance | gauge | less
Invocations | throughput | less | requests
Throttles | count | more
ConcurrentExecutions | gauge | more
IteratorAge | gauge | more
NetworkOut | gauge | either
CacheHitRate | share | less
Evictions | count | more
trace.servlet.request.hits | throughput | less | requests
trace.servlet.request.errors | errors | more
trace.servlet.request.apdex | apdex | less
trace.servlet.request.duration.by.service.95p | latency | more
kubernetes.memory.usage_pct | share | more | %
system.disk.in_use | gauge | more
nginx.net.conn_dropped_per_s | errors | more
gunicorn.request.duration.99percentile | latency | more
sidekiq.jobs.success | count | less
sidekiq.queue.latency | latency | more
nodejs_eventloop_lag_p99_seconds | gauge | more | s
nodejs_active_handles_total | gauge | more
nodejs_heap_size_used_bytes | gauge | more | bytes
nodejs_version_info | info | either
dotnet_gc_collection_count_total | count | more
dotnet.thread_pool.queue.length | gauge | more
aspnetcore.diagnostics.exceptions | errors | more
kestrel.queued_requests | gauge | more
http.server.request.timeouts | errors | more
celery_task_failed_total | errors | more
celery_task_runtime_seconds | latency | more | s
airflow.scheduler.heartbeat | count | less
airflow_dag_processing_import_errors | errors | more
probe_duration_seconds | latency | more | s
up | gauge | less
etcd_server_has_leader | gauge | either
etcd_disk_wal_fsync_duration_seconds_bucket | latency | more | s
grpc_server_handling_seconds_count | throughput | less | requests
web.checkout.response_time.upper_90 | latency | more
web.logins.count_ps | count | less
newrelic.timeslice.value.errorsPerMinute | errors | more
Java/Threads/Blocked | gauge | more
largestContentfulPaint | latency | more
checkout_conversion_rate | share | less
payments_declined_total | errors | more
emails_bounced | count | more
signups_per_hour | count | less
cart_abandonment_ratio | share | more
player_rebuffer_ratio | share | more
player_rebuffered_total | count | more
workflow.googleapis.com/queue/num_undelivered_tasks | gauge | more
rpc_server_handled_total{grpc_code="DataLoss"} | count | more
rpc_client_calls{rpc.grpc.status_code="13"} | errors | more
rpc_client_calls{rpc.grpc.status_code="0"} | throughput | less | requests
dns_answers_total{rcode="REFUSED"} | errors | more
dns_requests_total{rcode="NOERROR"} | throughput | less | requests
process.runtime.cpython.memory | gauge | more
backend_alive_replicas | gauge | less
cluster.instance_count | gauge | either
clr_loaded_assemblies | gauge | either
cgroup_cpu_periods_total | count | either
pool_wait_queue_overflow | count | more
sessions{state="idle in transaction"} | gauge | more
cpu_seconds_total{mode="idle"} | gauge | less | s
quota_resource_requests_memory_bytes | gauge | either | bytes
% Disk Time | share | more | %
http.gateway.failed_requests | errors | more
Page swaps / sec | count | either
underreplicatedtopiccount | gauge | more
jobs_timeoutcount | errors | more
member_connection_degraded | gauge | more
slot_rebalance_latency_avg | latency | more
Percentage error | errors | more | %
flow_block_qps | errors | more
BlockedRequests | errors | more
threads_blocked | gauge | more
cpu.ready.summation | gauge | more
commands_total{event="short_circuited"} | errors | more
commands_total{event="success"} | throughput | less | requests
innodb_lock_waits | count | more
lock_waits_per_second | count | more
pool_lock_wait_count | count | more
pool_lock_wait_seconds | latency | more | s
session_wait_events_total | count | either
jvm_collector_gc_seconds_count | count | more
runtime_gc_collections_total | count | more
gateway_seconds_count{status="502"} | errors | more
breaker_calls_seconds_count{kind="failed"} | errors | more
breaker_calls_seconds_count{kind="successful"} | throughput | less | requests
records_written_total{level="error"} | errors | more
records_written_total{level="warn"} | count | more
records_written_total{level="info"} | count | less
calls_total{error="true"} | errors | more
calls_total{error="false"} | throughput | less | requests
calls_total{is_error="1"} | errors | more
calls_total{success="false"} | errors | more
calls_total{success="true"} | throughput | less | requests
spans_calls_total{status_code="STATUS_CODE_ERROR"} | errors | more
spans_calls_total{status_code="STATUS_CODE_OK"} | throughput | less | requests
spans_calls_total{status_code="STATUS_CODE_UNSET"} | throughput | less | requests
upstream_rq_xx{response_code_class="1"} | throughput | less | requests
OriginLastByteResponseTime | latency | more
job_last_run_time | info | either
RequestsPerTarget | throughput | less | requests
request_count_per_backend | throughput | less | requests
Disk Reads/sec | count | more
device_read_iops | count | more
blocks_read_total | count | more
statements_spilled_total | count | more
sort_tmp_files | count | more
max_workers_reached | count | more
daily_quota_reached_total | count | more
worker_slots_available | gauge | less
tasks_available | gauge | more
shard_proposals_committed_total | count | less
jvm_memory_committed_bytes | gauge | either | bytes
consumed_write_capacity | gauge | more
subscription_back_log | gauge | more
process_num_fds | gauge | more
result_cache_ratio | share | less
revenue_usd | count | less
worker_pool_open_slots | gauge | less
crash_free_sessions | share | less
ErrorFreeVisits | share | less
node_last_seen | info | either
"""


@pytest.mark.parametrize("line", _NAMES.strip().splitlines())
def test_what_a_name_says(line: str) -> None:
    name, kind, worse, *unit = (part.strip() for part in line.split(" | "))
    reading = read_name(name)
    assert (reading.kind, reading.direction, reading.unit) == (kind, _WORSE[worse], *(unit or [""]))


@pytest.mark.parametrize(
    ("name", "period", "counter", "share"),
    [
        ("signups_per_hour", 3600.0, False, False),
        ("checkout.rpm", 60.0, False, False),
        ("Requests/sec", 1.0, False, False),
        ("queries.m5_rate", 1.0, False, False),
        ("grpc_server_started_total", 0.0, True, False),
        ("http_request_size_bytes_sum", 0.0, True, False),
        ("payment_failure_pct", 0.0, False, True),
        ("cacheHitRatio", 0.0, False, True),
        ("login_success_rate", 0.0, False, True),
        ("message_rate", 0.0, False, False),
    ],
)
def test_what_its_values_are(name: str, period: float, counter: bool, share: bool) -> None:
    reading = read_name(name)
    assert (reading.period, reading.counter, reading.share) == (period, counter, share)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HTTPCode_ELB_503_Count", ["http", "code", "elb", "503", "count"]),
        ("jvm.gc.pause.P99", ["jvm", "gc", "pause", "p99"]),
        ("UnderReplicatedPartitions", ["underreplicated", "partition"]),
        ('rq{envoy_response_code_class="4",cluster="a500"}', ["4xx", "rq"]),
        ("avgResponseTime", ["avg", "response", "time"]),
    ],
)
def test_its_words_whatever_the_convention(name: str, words: list[str]) -> None:
    assert words_of(name) == words


def test_a_name_of_endings_alone_takes_linear_time() -> None:
    assert pace(lambda: read_name("_total" * 150_000), times=1) < 100  # about 12 on an idle core
