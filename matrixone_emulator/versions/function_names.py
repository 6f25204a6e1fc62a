"""Names of the functions that each version of the server has, operators left out.

A name in none of these the server does not know (20105); one that is here and has no handler in
compiler/calls.py the emulator has not written (1235).
"""

from __future__ import annotations

_OF_2_2_2 = """
    abs acos add_fault_point adddate and any_value approx_count approx_count_distinct ascii
    assert atan avg avg_tw_cache avg_tw_result between bin binary bit_and bit_cast bit_length
    bit_or bit_xor bitmap_bit_position bitmap_bucket_number bitmap_construct_agg bitmap_count
    bitmap_or_agg build_version case cast cast_index_to_value cast_index_value_to_index
    cast_nano_to_timestamp cast_range_value_unit cast_value_to_index ceil ceiling char_length
    charset cluster_centers coalesce collation concat concat_ws connection_id convert convert_tz
    cos cosine_distance cosine_similarity cot count crc32 curdate current_account_id
    current_account_name current_date current_role current_role_id current_role_name
    current_timestamp current_user current_user_id current_user_name currval database date
    date_add date_format date_sub datediff day dayofyear decode dense_rank
    disable_fault_injection div empty enable_fault_injection encode endswith exp extract
    fault_inject field find_in_set findinset floor format found_rows from_base64 from_unixtime
    fulltext_match fulltext_match_score git_version group_concat grouping hash_value hex hour
    icu_version if iff ifnull ilike in inner_product instr internal_auto_increment
    internal_char_length internal_char_size internal_column_character_set
    internal_datetime_scale internal_numeric_precision internal_numeric_scale is is_not
    is_not_null is_null isempty isfalse isnot isnotfalse isnotnull isnottrue isnotunknown isnull
    istrue isunknown jq json_extract json_extract_float64 json_extract_string json_insert
    json_quote json_replace json_row json_set json_unquote l1_norm l2_distance l2_distance_sq
    l2_distance_sq_xc l2_distance_xc l2_norm last_day last_insert_id last_query_id last_uuid
    lastval lcase left length lengthutf8 like ln load_file locate log log10 log2 lower lpad
    ltrim makedate max md5 median mid min minute mo_admin_name mo_cpu mo_cpu_dump mo_ctl mo_cu
    mo_cu_v1 mo_disable_memory_usage_detail mo_enable_memory_usage_detail mo_explain_phy
    mo_log_date mo_memory mo_memory_usage mo_show_col_unique mo_show_visible_bin
    mo_show_visible_bin_enum mo_table_col_max mo_table_col_min mo_table_rows mo_table_size
    mo_win_divisor mo_win_truncate mod month moplugin nextval normalize_l2 not not_in
    not_in_rows not_reg_match now nullif oct or pi power prefix_between prefix_eq prefix_in
    purge_log python_user_defined_function rand rank reg_match regexp_instr regexp_like
    regexp_replace regexp_substr remove_fault_point repeat replace reverse roles_graphml round
    row_count row_number rpad rtrim save_file schema second serial serial_extract serial_full
    session_user setval sha sha1 sha2 sin sinh sleep space split_part sqrt starcount startswith
    std stddev_pop str_to_date subdate substr substring substring_index subvector sum summation
    sysdate system_user tan time timediff timestamp timestampdiff to_base64 to_date to_days
    to_lower to_seconds to_upper trigger_fault_point trim try_jq try_moplugin ucase unary_mark
    unary_minus unary_plus unary_tilde unhex unix_timestamp upper user utc_timestamp uuid values
    var_pop variance vector_dims version week weekday xor year
"""

KNOWN_2_2_2 = frozenset(_OF_2_2_2.split())
_NEW_IN_3_0_9 = """
    dayofweek first_value lag last_value lead nth_value starlark strcmp try_starlark ts_to_time
"""

KNOWN_3_0_9 = KNOWN_2_2_2 | frozenset(_NEW_IN_3_0_9.split())
_NEW_IN_3_0_18 = """
    addtime aes_decrypt aes_encrypt asin cast_geometry_to_subtype cast_index_to_set_value
    cast_set_index_value_to_index cast_set_value_to_index cast_strict cume_dist current_time
    curtime dayname degrees elt get_format json_array json_keys json_length json_object
    json_pretty json_schema_valid json_schema_validation_report json_type json_valid json_value
    maketime monthname percent_rank position pow quarter quote radians right sign subtime
    time_format timestampadd truncate yearweek
"""

KNOWN_3_0_18 = KNOWN_3_0_9 | frozenset(_NEW_IN_3_0_18.split())
_NEW_IN_4_2_0 = """
    _check_constraint_assert approx_percentile atan2 bin_to_uuid bit_count cast_assign
    cast_ignore cast_json_to_array char character_length compress conv date_trunc dayofmonth
    export_set from_days get_lock greatest h3_h3index h3_h3index_areneighbors
    h3_h3index_areneighbours h3_h3index_boundary h3_h3index_center h3_h3index_neighbors
    h3_h3index_neighbours h3_h3index_parent h3_h3index_resolution hash_partition hll_add_agg
    hll_cardinality hll_merge_agg in_range inet6_aton inet6_ntoa inet_aton inet_ntoa insert
    interval is_free_lock is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6 is_used_lock is_uuid
    json_arrayagg json_contains json_contains_path json_merge_patch json_merge_preserve
    json_objectagg json_overlaps json_remove least llm_chat llm_embedding localtime
    localtimestamp make_set max_by max_by_non_null mbrcontains mbrcoveredby mbrcovers
    mbrdisjoint mbrequals mbrintersects mbroverlaps mbrtouches mbrwithin microsecond
    mo_feature_limit_upsert mo_feature_registry_upsert mo_is_legacy_temporary_table
    mo_tuple_expr name_const ntile octet_length onnx_run ord period_add period_diff
    prefix_in_range random_bytes release_all_locks release_lock s2_cellid s2_cellid_allneighbors
    s2_cellid_allneighbours s2_cellid_area s2_cellid_areneighbors s2_cellid_areneighbours
    s2_cellid_center s2_cellid_edgeneighbors s2_cellid_edgeneighbours s2_cellid_level
    s2_cellid_parent sec_to_time soundex st_area st_asbinary st_asgeojson st_astext st_aswkb
    st_aswkt st_boundary st_buffer st_centroid st_collect st_contains st_convexhull st_coveredby
    st_covers st_crosses st_difference st_dimension st_disjoint st_distance st_distance_sphere
    st_endpoint st_envelope st_equals st_exteriorring st_frechetdistance st_geohash
    st_geomcollfromtext st_geomcollfromtxt st_geomcollfromwkb st_geometrycollectionfromtext
    st_geometrycollectionfromwkb st_geometryfromtext st_geometryfromwkb st_geometryn
    st_geometrytype st_geomfrombinary st_geomfromgeojson st_geomfromtext st_geomfromwkb
    st_hausdorffdistance st_interiorringn st_intersection st_intersects st_isclosed
    st_iscollection st_isempty st_isring st_issimple st_isvalid st_latfromgeohash st_latitude
    st_length st_linefromtext st_linefromwkb st_lineinterpolatepoint st_lineinterpolatepoints
    st_linestringfromtext st_linestringfromwkb st_longfromgeohash st_longitude st_makeenvelope
    st_mlinefromtext st_mlinefromwkb st_mpointfromtext st_mpointfromwkb st_mpolyfromtext
    st_mpolyfromwkb st_multilinestringfromtext st_multilinestringfromwkb st_multipointfromtext
    st_multipointfromwkb st_multipolygonfromtext st_multipolygonfromwkb st_numgeometries
    st_numinteriorring st_numinteriorrings st_numpoints st_overlaps st_point st_point32
    st_pointatdistance st_pointfromgeohash st_pointfromtext st_pointfromwkb st_pointn
    st_pointonsurface st_polyfromtext st_polyfromwkb st_polygonfromtext st_polygonfromwkb
    st_simplify st_srid st_startpoint st_swapxy st_symdifference st_touches st_union st_validate
    st_within st_x st_y stddev stddev_samp time_to_sec uncompress uncompressed_length utc_date
    utc_time uuid_to_bin validate_password_strength var_samp vecbf16_from_base64
    vecf16_from_base64 vecf32_from_base64 vecf64_from_base64 vecint8_from_base64
    vecuint8_from_base64 weekofyear
"""

KNOWN_4_2_0 = KNOWN_3_0_18 | frozenset(_NEW_IN_4_2_0.split())
_NEW_IN_MAIN = """
    l1_distance load_text percentile_cont percentile_disc uuid_extract_timestamp
    uuid_extract_version uuid_v1 uuid_v4 uuid_v6 uuid_v7
"""

KNOWN_MAIN = KNOWN_4_2_0 | frozenset(_NEW_IN_MAIN.split())
