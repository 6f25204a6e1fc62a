"""Tables of the system databases; the emulator has no rows of most of them.

`database.name`, with a `/` for a view and a `!` for what the sys account alone sees.
"""

from __future__ import annotations

_TABLES = """
    mo_catalog.mo_account! mo_catalog.mo_branch_metadata! mo_catalog.mo_cache
    mo_catalog.mo_cdc_task! mo_catalog.mo_cdc_watermark! mo_catalog.mo_columns
    mo_catalog.mo_configurations mo_catalog.mo_data_key! mo_catalog.mo_database
    mo_catalog.mo_foreign_keys mo_catalog.mo_indexes mo_catalog.mo_locks
    mo_catalog.mo_merge_settings! mo_catalog.mo_mysql_compatibility_mode mo_catalog.mo_pitr!
    mo_catalog.mo_pubs! mo_catalog.mo_role mo_catalog.mo_role_grant mo_catalog.mo_role_privs
    mo_catalog.mo_sessions mo_catalog.mo_shards! mo_catalog.mo_shards_metadata!
    mo_catalog.mo_snapshots mo_catalog.mo_stages mo_catalog.mo_stored_procedure
    mo_catalog.mo_subs! mo_catalog.mo_table_partitions mo_catalog.mo_table_stats_alpha!
    mo_catalog.mo_tables mo_catalog.mo_transactions mo_catalog.mo_upgrade!
    mo_catalog.mo_upgrade_tenant! mo_catalog.mo_user mo_catalog.mo_user_defined_function
    mo_catalog.mo_user_grant mo_catalog.mo_variables mo_catalog.mo_version! mysql.columns_priv
    mysql.db mysql.procs_priv mysql.role_edges mysql.tables_priv mysql.user system.error_info!
    system.log_info! system.rawlog! system.span_info! system.sql_statement_hotspot!
    system.statement_info system_metrics.metric system_metrics.mo_log_message_count!
    system_metrics.process_cpu_percent! system_metrics.process_cpu_seconds_total!
    system_metrics.process_open_fds! system_metrics.process_resident_memory_bytes!
    system_metrics.server_connections system_metrics.server_object_count
    system_metrics.server_snapshot_usage system_metrics.server_storage_usage
    system_metrics.sql_statement_cu system_metrics.sql_statement_duration_total
    system_metrics.sql_statement_errors system_metrics.sql_statement_total
    system_metrics.sql_transaction_errors system_metrics.sql_transaction_total
    system_metrics.sys_cpu_combined_percent! system_metrics.sys_cpu_seconds_total!
    system_metrics.sys_disk_read_bytes! system_metrics.sys_disk_write_bytes!
    system_metrics.sys_memory_available! system_metrics.sys_memory_used!
    system_metrics.sys_net_recv_bytes! system_metrics.sys_net_sent_bytes!
    mo_task.sys_async_task! mo_task.sys_cron_task! mo_task.sys_daemon_task!
    mo_debug.trace_event_data! mo_debug.trace_event_error! mo_debug.trace_event_txn!
    mo_debug.trace_event_txn_action! mo_debug.trace_features! mo_debug.trace_statement!
    mo_debug.trace_statement_filters! mo_debug.trace_table_filters! mo_debug.trace_txn_filters!
"""
SYSTEM_TABLES = frozenset(_TABLES.split())
_NEW_IN_4_2_0 = """
    mo_catalog.mo_ccpr_dbs! mo_catalog.mo_ccpr_log! mo_catalog.mo_ccpr_tables!
    mo_catalog.mo_feature_limit! mo_catalog.mo_feature_registry! mo_catalog.mo_iceberg_catalogs
    mo_catalog.mo_iceberg_maintenance_jobs mo_catalog.mo_iceberg_orphan_files
    mo_catalog.mo_iceberg_principal_map mo_catalog.mo_iceberg_publish_jobs
    mo_catalog.mo_iceberg_refs mo_catalog.mo_iceberg_residency_policy
    mo_catalog.mo_iceberg_tables mo_catalog.mo_index_update! mo_catalog.mo_iscp_log!
    mo_catalog.mo_mongodb_connections mo_catalog.mo_mongodb_tables
    mo_catalog.mo_partition_metadata mo_catalog.mo_partition_tables mo_catalog.mo_role_rule
    mo_task.sql_task! mo_task.sql_task_run!
"""
SYSTEM_TABLES_4_2_0 = SYSTEM_TABLES | frozenset(_NEW_IN_4_2_0.split())
