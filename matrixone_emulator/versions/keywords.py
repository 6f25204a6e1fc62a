"""Keywords that the scanner of each version knows, reserved ones and others."""

from __future__ import annotations

_OF_2_2_2 = """
    _binary accessible account accounts action add adddate admin_name after against algorithm
    all alter analyze and any apply approx_count approx_count_distinct approx_percentile as asc
    ascii asensitive attribute auto_increment auto_random autoextend_size avg avg_row_length
    backend backup before begin between bigint binary bindings bit bit_and bit_cast bit_or
    bitmap_bit_position bitmap_bucket_number bitmap_count blob bool boolean both bsi btree by
    call cancel cascade cascaded case cast cdc centroidx chain change char character charset
    check checksum cipher client cluster cluster_centers coalesce collate collation column
    column_format column_number columns comment commit committed compact compressed compression
    condition config connect connection connector connectors consistent constraint continue
    convert copy count create credentials cross cube curdate current current_date current_role
    current_time current_timestamp current_user currval cursor curtime cycle daemon data
    database databases datalink date date_add date_sub datetime day day_hour day_microsecond
    day_minute day_second deallocate dec decimal declare dedup default definer delay_key_write
    delayed delete dense_rank desc describe deterministic directory disable discard disk
    distinct distinctrow div do double drainer drop duplicate dynamic each ef_construction
    ef_search else elseif enable enclosed encryption end enforced engine engine_attribute
    engines enum errors escape escaped event events except exclusive execute exists exit
    expansion expire explain extended extension external extract failed_login_attempts false
    fetch fields file filesystem fill first fixed float float4 float8 following for force
    force_quote foreign format from full fulltext function generated geometry geometrycollection
    get global grant grants group group_concat grouping groups handler hash having header
    headers high_priority history hnsw hour hour_microsecond hour_minute hour_second id
    identified if ignore ilike import in increment index indexes infile inline inner inout
    inplace insensitive insert insert_method instant int int1 int2 int3 int4 int8 integer
    intersect interval into invisible invoker io_after_gtids is isolation issuer iterate ivfflat
    join json jsontype key key_block_size keys kill kmeans language last lastval leading leave
    left less level like limit linear lines linestring list lists load local localtime
    localtimestamp lock locks logservice long longblob longtext loop low_cardinality
    low_priority m manage master master_bind match max max_connections_per_hour max_file_size
    max_queries_per_hour max_rows max_update_per_hour max_user_connections maxvalue median
    mediumblob mediumint mediumtext memory merge microsecond mid middleint min min_rows minus
    minute minute_microsecond minute_second minvalue mo_ts mod mode modifies modify modump month
    multilinestring multipoint multipolygon mysql_compatibility_mode names natural nchar never
    next nextval no no_write_to_binlog node none not now null nulls numeric of offset on only
    op_type open optimize optimizer_costs option optional optionally or order out outer outfile
    over ownership pack_keys parallel parallelism parser partial partition partitions password
    password_lock_time pause percent period persist phyplan pitr plugins point polygon position
    preceding precision prepare prev primary privileges procedure processlist profiles
    properties proxy publication publications pump quantization quarter query query_result quick
    random range rank read read_write reads real recovery_window recursive redundant reference
    references regexp reindex release reload rename reorganize repair repeat repeatable replace
    replicas replication require reset resignal restore restrict restricted resume retention
    retry return returns reuse reverse revoke right rlike role roles rollback rollup routine row
    row_count row_format row_number rows rtree s3option sample san savepoint schema schemas
    second second_microsecond secondary secondary_engine_attribute security select sensitive
    separator sequence sequences serial_extract serializable servers session session_user set
    sets settings setval share shared show shutdown signal signed simple slave sliding smallint
    snapshot snapshots some source spatial specific sql sql_big_result sql_buffer_result
    sql_cache sql_calc_found_rows sql_no_cache sql_small_result sql_tsi_day sql_tsi_hour
    sql_tsi_minute sql_tsi_month sql_tsi_quarter sql_tsi_second sql_tsi_week sql_tsi_year
    sqlexception sqlstate sqlwarning ssl stage stageoption stages start starting
    stats_auto_recalc stats_persistent stats_sample_pages status std stddev stddev_pop
    stddev_samp storage stored stores straight_join stream strict subdate subject subpartition
    subpartitions subscriptions substr substring sum super suspend sysdate system_user table
    table_number table_size table_values tables tablespace task temporary temptable terminated
    text than then time timestamp timestampdiff tinyblob tinyint tinytext to trailing
    transaction translate trigger triggers trim true truncate type unbounded uncommitted
    undefined undo union unique unique_check_on_autoincr unknown unlock unsigned until update
    upgrade url usage use user using utc_date utc_time utc_timestamp uuid validation value
    values var_pop var_samp varbinary varchar varcharacter variables variance varying vecf32
    vecf64 verbose view virtual visible warnings week when where while with without work write
    x509 xor year year_month zerofill zonemap
"""
KEYWORDS_2_2_2 = frozenset(_OF_2_2_2.split())
_NEW_IN_3_0_9 = """
    accept branch clone conflict diff fail first_value internal lag last_value lead nth_value
    output skip summary
"""
KEYWORDS_3_0_9 = KEYWORDS_2_2_2 | frozenset(_NEW_IN_3_0_9.split())
_NEW_IN_3_0_18 = """
    cume_dist get_format percent_rank pick rule rules runs schedule tasks timeout timestampadd
    timezone
"""
KEYWORDS_3_0_18 = KEYWORDS_3_0_9 | frozenset(_NEW_IN_3_0_18.split())
_NEW_IN_4_2_0 = """
    always array async auto_update bits_per_code cagra catalog catalogs ccpr connections
    coverage distribution_mode dump files force_sync gapfill geography geography32 geometry32
    geometrycollection32 graph_degree iceberg include intermediate_graph_degree itopk_size ivfpq
    json_arrayagg json_objectagg kmeans_max_iteration kmeans_train_percent linestring32
    max_index_capacity metadata mongodb mongodb_convert mongodb_path multilinestring32
    multipoint32 multipolygon32 namespace namespaces ntile overwrite perform point32 polygon32
    profile quantizer_train_limit ref remove returning splitsize srid subscription sync
    sync_interval vecbf16 vecf16 vecint8 vecuint8
"""
_GONE_IN_4_2_0 = """
    connector connectors headers source stream
"""
KEYWORDS_4_2_0 = (KEYWORDS_3_0_18 | frozenset(_NEW_IN_4_2_0.split())) - frozenset(
    _GONE_IN_4_2_0.split()
)
_NEW_IN_MAIN = """
    bm25 datastream fulltext2 max_postings_capacity percentile_cont percentile_disc
    position_free within
"""
KEYWORDS_MAIN = KEYWORDS_4_2_0 | frozenset(_NEW_IN_MAIN.split())

# What cannot be a name without back-quotes; every other keyword can.
_RESERVED = """_binary add all alter analyze and apply as asc between binary both by call case cdc
    centroidx change char character check collate column config constraint convert create cross
    current_date current_role current_time current_timestamp current_user database databases
    datalink day_hour day_microsecond day_minute day_second declare dedup default delayed delete
    dense_rank desc describe distinct div drop else elseif enclosed end escape escaped except
    exists explain false for force foreign from fulltext function group groups having
    high_priority hour_microsecond hour_minute hour_second id if ignore ilike in index infile
    inner inout insert int1 int2 int3 int4 int8 intersect interval into is iterate join key kill
    leading leave left like limit lines load localtime localtimestamp lock loop low_priority
    match maxvalue minus minute_microsecond minute_second mod natural not null of on optionally
    or order out outer outfile over partition phyplan primary quick rank recursive references
    regexp reindex rename repeat replace require retention right rlike row row_number rows schema
    schemas second_microsecond select separator set show sql_big_result sql_calc_found_rows
    sql_small_result ssl starting straight_join strict table temporary terminated then to
    trailing true union unique until update upgrade usage use using utc_date utc_time
    utc_timestamp values when where while with xor year_month"""
_RESERVED_SINCE_4 = """auto_update ccpr coverage cume_dist force_sync full ntile percent_rank
    precision remove sql_buffer_result sql_no_cache subscription sync sync_interval"""
RESERVED = frozenset(_RESERVED.split())
RESERVED_SINCE_4 = frozenset(_RESERVED_SINCE_4.split())
