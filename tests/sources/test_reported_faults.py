"""What people have reported of reading sources, and which test shows that it does not happen here.

Each fault stands in public threads, some of which are named; each test is asked for by name, so that one which is
renamed or taken away is missed here.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

_TESTS = Path(__file__).resolve().parents[1]
S, V = "sources/", "verification/"

FAULTS: dict[str, tuple[str, ...]] = {
    # Any source.
    "records come late, are never read, or count twice (YelpArchive/elastalert#2534)": (
        f"{V}test_late_records.py::test_a_bad_release_whose_errors_come_late_fails",
        f"{V}test_late_records.py::test_a_pass_waits_for_what_is_late_and_everything_counts_once",
        f"{S}test_late_at_the_vendors.py::test_errors_that_sumo_logic_receives_late_fail_the_release",
        f"{S}test_fault_matrix.py::test_logs",
    ),
    "no such name, no data, none of these instances and a failed call look the same (argoproj/argo-rollouts#1466)": (
        f"{S}test_prometheus_servers.py::test_a_metric_that_is_not_there",
        f"{S}test_prometheus_servers.py::test_a_time_in_which_nothing_happened",
        f"{S}test_prometheus_servers.py::test_an_instance_that_nobody_knows",
        f"{S}test_prometheus_servers.py::test_credentials_and_the_host",
        f"{V}test_watch.py::test_no_data_at_all",
    ),
    "null, NaN and Inf become 0, or break the reader (argoproj/argo-rollouts#3893)": (
        f"{S}test_prometheus_servers.py::test_what_is_no_number_is_missing_and_what_never_ended_is_long",
        f"{S}test_new_relic_source.py::test_empty_buckets_and_nulls_have_no_rows",
        f"{S}test_logs_of_stores.py::test_null_is_missing_and_never_0",
        f"{S}test_search_metrics.py::test_null_is_missing_and_never_0",
        f"{S}test_google_cloud.py::test_what_is_missing_stays_missing",
    ),
    "windows are hours off in another time zone (YelpArchive/elastalert#668)": (
        f"{S}test_file_logs.py::test_a_zone_that_is_not_said_is_noticed",
        f"{S}test_sql_metrics.py::test_a_column_in_another_zone",
        f"{S}test_sql_metrics.py::TestAnotherSession",
        f"{S}test_splunk.py::TestSplunk",
        "real/test_log_servers.py::test_words",
    ),
    "another site, a missing dimension or header reads as silence (DataDog/datadog-operator#103)": (
        f"{S}test_logs_of_stores.py::test_another_site_and_missing_keys_are_said",
        f"{S}test_cloud_watch.py::test_words",
        f"{S}test_prometheus_source.py::test_a_tenant_and_a_token",
        f"{S}test_prometheus_source.py::test_what_is_wrong_with_a_tenant_is_said",
    ),
    "a label that tells canary and control apart leaves nothing to pair (spinnaker/kayenta#738)": (
        f"{V}test_watch_metrics.py::test_a_label_that_tells_the_sides_apart_leaves_nothing_to_compare",
        f"{S}test_prometheus_servers.py::test_a_query_that_loses_the_instance",
        f"{S}test_prometheus_servers.py::test_several_series_of_an_instance",
    ),
    "events of many lines are cut, or joined across writers (moby/moby#28752)": (
        f"{V}logs/test_profile.py::test_lines_of_two_instances_are_not_joined",
        f"{V}logs/test_profile.py::test_lines_of_a_trace_that_arrive_apart_count_once",
        f"{V}test_late_records.py::test_a_trace_that_a_look_cut_is_not_late_and_hides_nothing_that_is",
        f"{S}test_pieces.py::test_a_containers_long_lines_are_one_record_each",
    ),
    "a store keeps a share of the records (DataDog/documentation#36104)": (
        f"{V}test_watch_sampled.py::test_nothing_is_said_to_have_gone_silent_that_a_store_may_have_left_out",
        f"{V}test_watch_sampled.py::test_new_errors_of_a_share_fail_the_release",
    ),
    "limits that pass are not waited for, and others are (prometheus/prometheus#7281)": (
        f"{S}test_prometheus_source.py::test_a_limit_of_the_rate_is_waited_for",
        f"{S}test_prometheus_source.py::test_one_time_that_is_too_much_is_the_servers_refusal",
        "hooks/test_sumo_logic_hook.py::test_429_waits_and_goes_on",
        "http/test_rate_limit.py::test_a_credential_keeps_to_its_rate_over_all_threads",
        "http/test_throttling.py::test_a_limit_that_others_keep_busy_is_waited_for",
        f"{S}test_fault_matrix.py::test_logs",
    ),
    "an answer is cut at a default, and taken for whole (splunk/splunk-sdk-javascript#172)": (
        f"{S}test_splunk.py::TestSplunk",
        f"{S}test_splunk.py::test_more_events_than_a_search_hands_out",
        f"{S}test_influx_db.py::test_an_answer_that_was_cut_is_none",
        "hooks/test_sumo_logic_hook.py::test_fewer_than_counted_is_said",
    ),
    # Prometheus and what speaks its API.
    "a new counter's first steps are lost (prometheus/prometheus#3886)": (
        f"{S}test_prometheus_servers.py::test_what_failed_before_the_first_scrape_counts",
        f"{S}test_native_histograms.py::test_a_histogram_that_begins_again_or_is_new_counts_from_0",
        f"{S}test_metric_files.py::test_a_new_process_counts_from_0_and_an_old_one_from_its_first_point",
    ),
    "a pod that is gone is answered for five minutes (prometheus/prometheus#9221)": (
        f"{S}test_prometheus_servers.py::test_what_is_gone_does_not_count_on",
        f"{V}test_watch_replicas.py::test_a_replica_that_has_gone_is_not_silent",
    ),
    "long windows are refused, and parts share a point (prometheus/prometheus#2253)": (
        f"{S}test_prometheus_servers.py::test_more_points_than_an_answer_may_have",
        f"{S}test_prometheus_servers.py::test_windows_at_odd_offsets_neither_lose_nor_repeat",
        f"{S}test_prometheus_source.py::test_a_window_that_is_too_much_is_halved",
    ),
    "VictoriaMetrics repeats the last value for 30 seconds (VictoriaMetrics/VictoriaMetrics#8693)": (
        f"{S}test_prometheus_servers.py::test_what_is_not_over_is_not_read",
    ),
    "Thanos answers with a part, or with rollups (thanos-io/thanos#622)": (
        f"{S}test_prometheus_source.py::test_a_part_of_an_answer_is_none",
        f"{S}test_prometheus_source.py::test_raw_points_and_whole_answers_are_asked_for",
    ),
    # Datadog, New Relic.
    "the newest bucket is not finished (argoproj/argo-rollouts#3665)": (
        f"{S}test_logs_of_stores.py::test_the_newest_buckets_are_not_finished_and_not_read",
    ),
    "NerdGraph gives up after five seconds (argoproj/argo-rollouts#3742)": (
        "hooks/test_new_relic_hook.py::test_sends_key_account_query_and_timeout",
        "hooks/test_new_relic_hook.py::test_no_answer_in_time",
    ),
    # CloudWatch, Google.
    "the window ends before the data begin (grafana/alloy#6518)": (
        f"{S}test_cloud_watch.py::test_the_newest_periods_may_not_be_published_yet",
    ),
    "an empty page is taken for the end (boto/boto3#4258)": (
        f"{S}test_cloud_watch.py::test_an_empty_page_is_not_the_end",
        f"{S}test_google_cloud.py::TestLogs",
    ),
    "alignment, delay and sparse points of Google (spinnaker/spinnaker#3025)": (
        f"{S}test_google_cloud.py::test_a_bucket_that_google_may_not_have_yet_is_not_asked_for",
        f"{S}test_google_cloud.py::test_what_is_missing_stays_missing",
        f"{S}test_google_cloud.py::test_mistakes_of_metrics",
        f"{S}test_google_cloud.py::test_words_of_metrics",
    ),
    # Elasticsearch, OpenSearch.
    "ties at the edge of a page are lost (opensearch-project/OpenSearch#11831)": (
        f"{S}test_logs_of_stores.py::TestElasticsearch",
        "real/test_log_servers.py::test_ten_thousand_records_of_one_moment",
    ),
    "some shards fail with status 200 (elastic/elasticsearch#18978)": (
        f"{S}test_logs_of_stores.py::test_a_shard_that_fails_begins_the_read_again",
        f"{S}test_logs_of_stores.py::test_shards_that_fail_for_good_are_an_error",
        f"{S}test_search_metrics.py::test_a_shard_that_fails_begins_the_read_again",
        "real/test_log_servers.py::test_an_index_of_which_a_shard_is_nowhere",
    ),
    "a pattern that matches no index finds nothing (elastic/elasticsearch#33192)": (
        f"{S}test_logs_of_stores.py::test_a_pattern_that_matches_no_index_is_no_silent_service",
        "real/test_log_servers.py::test_words",
    ),
    # Loki, VictoriaLogs.
    "paging by time loses lines (grafana/loki#17270)": (
        f"{S}test_logs_of_stores.py::TestLoki",
        f"{S}test_logs_of_stores.py::test_more_lines_of_one_moment_than_loki_hands_out_are_an_error",
    ),
    "records have no order, and two limits (VictoriaMetrics/VictoriaMetrics#6669)": (
        "real/test_log_servers.py::test_windows_that_hold_too_much_are_halved",
        f"{S}test_fault_matrix.py::test_logs",
    ),
    # Sumo Logic.
    "states that no document names, fewer messages than counted (SumoLogic/sumo-java-client#129)": (
        "hooks/test_sumo_logic_hook.py::test_unknown_states_are_work_in_progress",
        "hooks/test_sumo_logic_hook.py::test_fewer_than_counted_is_said",
    ),
    # Files, syslog.
    "a rotation under the reader loses or repeats a file (elastic/beats#39731)": (
        f"{S}test_file_logs.py::test_ten_rotations_lose_and_double_nothing",
        f"{S}test_file_logs.py::test_a_copy_that_is_about_to_be_truncated_counts_once",
        f"{S}test_file_logs.py::test_a_file_that_is_being_compressed_counts_once",
    ),
    "a long syslog line becomes a record of another host (rsyslog/rsyslog#5326)": (
        f"{S}test_syslog.py::test_what_is_cut_off_a_long_line_is_shown_as_nobodys",
        f"{V}test_watch_sampled.py::test_records_of_nobody_are_shown_with_their_number",
    ),
    # Docker, Kubernetes.
    "lines over 16 KiB come in pieces (moby/moby#34855)": (
        f"{S}test_pieces.py::test_pieces_become_a_line_again",
        f"{S}test_pieces.py::test_a_pods_long_line_is_one_record",
        f"{S}test_pieces.py::test_a_containers_long_lines_are_one_record_each",
        "real/test_kubernetes_pod_logs.py::test_every_line_of_every_container_and_run_is_there",
    ),
    "a rotation ends what follows a log (kubernetes/kubernetes#59902)": (
        f"{S}test_pod_logs.py::test_a_rotation_in_the_window_makes_it_incomplete",
        f"{S}test_pod_logs.py::test_a_log_that_begins_before_the_window_is_whole",
        f"{S}test_docker_rotation.py::test_what_was_rotated_away_makes_a_window_incomplete",
        f"{S}test_docker_rotation.py::test_what_was_rotated_away_before_silence_is_said",
        "real/test_kubernetes_pod_logs.py::test_what_was_rotated_away_is_said",
        f"{S}test_docker_rotation.py::test_a_connection_that_breaks_is_not_the_end_of_a_log",
    ),
    "reading on repeats or loses lines (kubernetes/kubernetes#92389)": (
        f"{S}test_pod_logs.py::test_equal_lines_of_one_moment_keep_their_number_over_a_seam",
        f"{S}test_file_logs.py::test_equal_lines_of_one_moment_keep_their_number",
        "real/test_kubernetes_pod_logs.py::TestPodLogs",
    ),
    "the container that crashed is the one before (kubernetes/kubectl#1622)": (
        f"{S}test_pod_logs.py::test_a_crashed_container_is_read_with_its_last_words",
        f"{S}test_pod_logs.py::test_restarts_that_nobody_can_read_are_said",
        f"{S}test_pod_logs.py::test_a_pod_that_is_gone_is_said",
        "real/test_kubernetes_pod_logs.py::test_every_line_of_every_container_and_run_is_there",
    ),
    # journald.
    "a process's last words have lost their unit (systemd/systemd#2913)": (
        f"{S}test_journal_logs.py::test_what_is_read",
    ),
    "the rest of a burst is left out (systemd/systemd#7506)": (
        f"{S}test_journal_logs.py::test_what_was_left_out_is_said",
    ),
}


@functools.cache
def _named(path: str) -> frozenset[str]:
    """Names of the tests of a file, and of its classes."""
    tree = ast.parse((_TESTS / path).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def test_there_are_as_many_as_were_gathered() -> None:
    assert len(FAULTS) == 34


@pytest.mark.parametrize("fault", FAULTS)
def test_each_has_a_test(fault: str) -> None:
    shown = FAULTS[fault]
    assert shown
    for one in shown:
        path, _, name = one.partition("::")
        assert name in _named(path), one
