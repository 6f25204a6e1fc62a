"""Differences between server versions: one `Rules` object a version, with named flags.

A flag says what the server does, not since when. The defaults are those of the oldest version,
and each later one lists what it changed, so a new version is one entry of `RULES`. Nothing else
in the emulator compares versions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .collations import COLLATIONS, COLLATIONS_MAIN
from .function_names import KNOWN_2_2_2, KNOWN_3_0_9, KNOWN_3_0_18, KNOWN_4_2_0, KNOWN_MAIN
from .keywords import (
    KEYWORDS_2_2_2,
    KEYWORDS_3_0_9,
    KEYWORDS_3_0_18,
    KEYWORDS_4_2_0,
    KEYWORDS_MAIN,
    RESERVED,
    RESERVED_SINCE_4,
)
from .system_tables import SYSTEM_TABLES, SYSTEM_TABLES_4_2_0


@dataclass(frozen=True, kw_only=True)
class _Objects:
    """Rules of PITRs, sessions, tables and changes of rows."""

    version: str
    version_text: str
    """Text of `version()` and of the handshake"""
    functions: frozenset[str]
    """The names of the functions that the server has, the emulator's own among them"""
    keywords: frozenset[str]
    """Words that the scanner takes for keywords"""
    reserved: frozenset[str]
    """Keywords that are no names without back-quotes"""
    system_tables: frozenset[str] = SYSTEM_TABLES
    """Tables of the system databases that the emulator has no rows of"""
    character_sets_listed: bool = False
    """information_schema.character_sets and SHOW CHARACTER SET have rows"""
    more_keyword_rows: tuple[str, ...] = ()
    """Rows that information_schema.keywords has besides, none of them reserved"""
    more_statements: frozenset[str] = frozenset()
    """First words of statements beside those that all versions read"""
    more_shows: tuple[str, ...] = ("CONNECTORS",)
    """Forms of SHOW beside those that all versions read (parsing/show.py)"""

    window_functions: frozenset[str] = frozenset(["row_number", "rank", "dense_rank"])
    """Functions that take OVER beside the aggregates"""

    # -- PITR --------------------------------------------------------------------------
    creations_race: bool = True
    """Concurrent CREATE PITRs all pass their checks before any of them writes"""
    creation_waits_for_rebuild: bool = False
    """CREATE PITR waits for another session's uncommitted ALTER TABLE"""
    internal_pitrs: bool = False
    """CREATE and DROP PITR know INTERNAL"""
    internal_checked_when_executed: bool = False
    """A prepared INTERNAL statement finds its object when it runs, not when it is prepared"""
    pitrs_are_prepared: bool = False
    """PREPARE takes CREATE and DROP PITR"""
    rebuild_detaches: bool = False
    truncate_detaches: bool = False
    lookup_quotes_names: bool = False
    """Names in the server's own look-ups are quoted, not pasted in"""
    long_pitr_name_is_truncated: bool = False
    sys_finds_all_tables: bool = True
    """sys may name the tables of other accounts"""
    logical_ids: bool = False
    """Tables keep a logical id through rebuilds, and a plain CREATE PITR records that one"""
    pitr_kind: bool = False
    """mo_pitr has a column `kind`, and its pitr_id is text"""
    pitr_times_are_nanoseconds: bool = False
    """mo_pitr keeps integers, SHOW PITR gives DATETIME; they keep TIMESTAMP and texts otherwise"""
    panic_code: int = 1105
    """Error code of what makes the server panic"""
    restores_own_account_parts: bool = False
    """RESTORE ACCOUNT a DATABASE d FROM PITR"""
    snapshots_are_of_their_object: bool = False
    """A snapshot reads the object alone that it is of, and RESTORE of a table names its database"""
    snapshots_follow_rebuilds: bool = False
    """CLONE knows a table that was rebuilt before its snapshot as the snapshot's own"""
    snapshot_kind: bool = False
    """mo_snapshots has the column `kind`"""
    restores_by_brace: bool = False
    """RESTORE names a snapshot as `{SNAPSHOT = 's'}`, not as `FROM SNAPSHOT s`"""
    restore_looks_up_by_like: bool = True
    """RESTORE of a table takes its name for a pattern, and refuses when another fits it too"""
    restore_needs_parents: bool = False
    """RESTORE of a table whose foreign key's parent is missing is an error, not an idle OK"""
    restore_keeps_self_references: bool = True
    """RESTORE of a database with a table that refers to itself leaves it, and answers OK"""
    windows_as_json_list: bool = False
    """SHOW RECOVERY_WINDOW in one list of objects, under labels without underscores"""
    tenants_show_own_windows_by_name: bool = False

    replace_reads_rows: bool = False
    """REPLACE looks for the rows to replace among the rows, not in the UNIQUE indexes"""
    partitions_are_tables: bool = False
    """Partitions are tables of their own in the catalogue, which a copy has, too"""
    ranges_take_indexes: bool = False
    """The planner takes a secondary index for `>` and `<` too, as for IN and BETWEEN"""

    # -- sessions and transactions -----------------------------------------------------
    status_bit_of_idle_is_on: bool = True
    """The packets always say autocommit while no transaction is open"""
    tables_lock_inside_transactions: bool = False
    """LOCK TABLES is allowed there, and ends the transaction"""
    prepare_from_variables: bool = False
    prepare_drops_first: bool = False
    """PREPARE drops the statement of that name even where the new one is refused"""
    deallocate_checks_name: bool = False
    several_statements_prepared: str = "cannot prepare multi statements"
    """The refusal of a PREPARE of several statements"""
    zone_names: bool = False
    """SET time_zone takes named zones"""
    ansi_quotes: bool = False
    """sql_mode's ANSI_QUOTES has an effect"""
    pipes_always_concatenate: bool = True
    """`||` joins texts whatever sql_mode says"""
    vector_index_variables: bool = False

    letters_need_no_quotes: bool = False
    """Names outside of quotes have letters outside of ASCII, too"""
    set_commits: bool = True
    """A SET commits the open transaction, and rolls it back where it fails"""
    isolation: str = "REPEATABLE-READ"
    """Value of @@transaction_isolation"""
    isolation_inside_code: int = 20101
    """Error code of SET TRANSACTION inside a transaction"""

    # -- databases and tables ----------------------------------------------------------
    added_key_shows_the_comment: bool = True
    """Once a UNIQUE was added, SHOW CREATE TABLE prints the latest comment, not the first one"""
    clones: bool = False
    """CREATE TABLE and CREATE DATABASE ... CLONE parse"""
    clone_checks_if_not_exists: bool = False
    database_clone_checks_if_not_exists: bool = False
    failing_clones_say_ok: bool = True
    """After BEGIN, a CLONE that fails says OK"""
    explicit_clone_reads_own_writes: bool = False
    """After BEGIN a clone sees what the transaction wrote"""
    create_as_select_of_past: bool = False
    create_as_select_of_snapshots: bool = False
    """... by a snapshot's name, too, which makes the server panic otherwise"""
    missing_database_is_unselected: bool = True
    """A missing database is "none selected" to a statement that creates something"""
    database_clone_takes_circles: bool = False
    """CLONE of a database whose foreign keys make a circle"""
    missing_database_clones_empty: bool = False
    """CLONE of a database that is missing makes an empty one"""
    drop_database_counts_tables: bool = False
    """DROP DATABASE affects a row a table, not one"""
    drop_database_quotes_names: bool = False
    """... of tables with a back-quote in their name, too"""
    drops_several_tables: bool = False
    drop_index_if_exists: bool = False
    truncate_checks_parents: bool = False
    rename_column_rebuilds: bool = True
    own_key_stops: frozenset[str] = frozenset()
    """Clauses of ALTER, and TRUNCATE, that a table with a foreign key to itself cannot take"""
    same_length_rebuilds: bool = True
    """MODIFY to the same length gives the table a new id"""
    rebuild_forgets_foreign_keys: bool = True
    """A rebuild takes the table's foreign keys, which stay in force, out of mo_foreign_keys"""
    alter_forgets_own_keys: bool = False
    """mo_foreign_keys never has a foreign key that an ALTER adds to its own table"""
    rebuild_skips_numbers: bool = False
    """After a rebuild AUTO_INCREMENT goes on at the next block"""
    comments_change_in_place: bool = False
    """MODIFY and CHANGE of a comment or a default alone keep the table's id"""
    auto_increment_is_set: bool = False
    """ALTER TABLE ... AUTO_INCREMENT = n works"""
    text_lengths: bool = False
    """TEXT(10) and BLOB(10)"""
    foreign_key_rule: str = "RESTRICT"
    """The catalogue's word for a rule that is not given; SHOW CREATE TABLE has RESTRICT"""
    foreign_keys_know_origins: bool = False
    """mo_foreign_keys says which rules were given, and information_schema writes SET NULL"""
    referenced_keys_stay: bool = False
    """The key that a foreign key refers to cannot be dropped (1553)"""
    referenced_columns_lead: bool = False
    """A foreign key refers to the first columns of a key, in their order, not to any of them"""
    checks_are_kept: bool = False
    """CHECK constraints are kept, enforced and shown"""
    generated_columns: bool = False
    year_and_set_types: bool = False
    decimal_digits: int = 38
    decimal_scale: int = 65
    long_decimals_calculate: bool = True
    """Decimals of more than 38 digits can be added, multiplied and summed"""
    uuid_default_of_text: bool = False
    """DEFAULT uuid() of a column of texts"""
    view_column_names: bool = False
    """The column list of CREATE VIEW names its columns"""
    quotes_doubled_in_defaults: bool = False
    """SHOW CREATE TABLE doubles the quotes of a literal default, which are doubled already"""
    columns_double_quotes: bool = False
    """SHOW COLUMNS doubles the quotes of a literal default, which are doubled already"""
    columns_double_quotes_in_expressions: bool = False
    quotes_doubled_in_expressions: bool = False
    """SHOW CREATE TABLE doubles the quotes in an expression's default, and cannot read it then"""
    view_security: bool = False
    """CREATE VIEW knows SQL SECURITY, and SHOW CREATE VIEW adds DEFINER where there is none"""
    rules_with_underscores: bool = True
    """SHOW CREATE TABLE writes SET_NULL, which it cannot read then"""

    # -- writing -----------------------------------------------------------------------
    bool_texts_checked: bool = False
    too_long_is_1406: bool = False
    zero_generates: bool = False
    """A 0 in an AUTO_INCREMENT column generates a number"""
    replace_counts_deleted: bool = False
    unchanged_rows_count: bool = True
    """An UPDATE affects the rows that it leaves as they were; CLIENT_FOUND_ROWS always does that"""
    update_foreign_key_codes: frozenset[str] = frozenset()
    """Sides of a foreign key whose refusal of an UPDATE is 1452 or 1217, and those of a join"""
    ignore_skips_orphans: bool = False
    """INSERT IGNORE leaves out a row whose parent is missing"""
    inserts_unions: bool = False
    """INSERT ... SELECT takes a UNION without brackets"""
    replace_finds_unique: bool = True
    """REPLACE of a table with a primary key replaces by a UNIQUE one, too; 1062 otherwise"""
    upsert_finds_unique: bool = False
    """ON DUPLICATE KEY UPDATE finds the row by any unique key, not by the primary key alone"""
    upsert_counts_changes: bool = False
    """... and affects two rows for a changed one"""
    upsert_of_key_is_dml: bool = False
    """ON DUPLICATE KEY UPDATE of a key is refused with 20313, not 20101"""
    upsert_of_column_is_checked: bool = False
    """... of a column that is not there is refused as that, where no row conflicts, too"""
    joins_pass_unique_values_on: bool = False
    """An UPDATE of a join may give a UNIQUE value to another row than the one that gets NULL"""
    enums_in_joined_updates: bool = False
    """An UPDATE of a join sets an ENUM, to what is written out"""
    enum_refusal: str = "aggregate function any_value, bad value [ENUM]"
    """Error of the other versions"""
    cascades_count: bool = True
    """An UPDATE counts the rows of children that follow it, as DELETE always does"""
    vectors_in_joined_updates: bool = False
    """An UPDATE of a join sets a vector"""
    uuid_beside_null: bool = False
    """coalesce() takes a UUID and NULL"""
    target_cannot_be_read: bool = False
    """1093 where a subquery reads the table that is changed"""
    delete_with_alias_truncates: bool = True
    duplicate_names_hidden_column: bool = True
    """1062 of a child table names `__mo_index_idx_col`, not the column"""
    added_key_takes_the_only_ones_name: bool = False
    """1062 of a UNIQUE that is added names the one that the table has, if it has one alone"""


@dataclass(frozen=True, kw_only=True)
class Rules(_Objects):
    """One version of the server."""

    # -- reading -----------------------------------------------------------------------
    bool_is_word: bool = True
    """BOOL comes as the word `true`, not as a TINYINT"""
    division_by_zero_is_null: bool = False
    """... in a SELECT"""
    null_safe_equal: bool = False
    """`<=>`"""
    least_bigint: bool = False
    """-9223372036854775808 is a BIGINT, not a DECIMAL"""
    json_arrows: bool = False
    json_compares_as_text: bool = False
    """JSON beside another type is the text in it; it is cast to nothing otherwise"""
    json_is_number: bool = False
    """JSON can be cast to numbers"""
    json_is_bool: bool = False
    """JSON can be cast to BOOL, and compared with one"""
    numbers_are_json: bool = False
    """Numbers, truths and moments can be cast to JSON"""
    enum_sorts_by_place: bool = False
    grouped_inside_subqueries: bool = False
    """A column that the query groups by may be named in a subquery of it"""
    several_rows_code: int = 20101
    """Error code of a scalar subquery with several rows"""
    missing_table_code: int = 1064
    """Error code of a SELECT from a missing table"""
    missing_column_code: int = 20301
    """Error code of a column that is not there; 1054 counts for 20101 too (errors.py)"""
    unset_variables_are_null: bool = False
    """`@x` is NULL before it is set"""
    variables_keep_types: bool = False
    """`SELECT @x` has the type of what was assigned, not TEXT"""
    bits_are_bytes: bool = False
    """x'41', 0x41 and b'1' are bytes, not texts"""
    select_into_variables: bool = False
    """SELECT ... INTO @x"""
    integer_division_by_zero_is_null: bool = False
    """DIV by zero is NULL where it writes, too"""
    div_takes_decimals: bool = False
    """DIV takes decimals, BIGINT UNSIGNED and NULL"""
    common_types: bool = False
    """CASE, COALESCE and UNION find a type for texts beside numbers, UNION for any two numbers"""
    intervals_keep_texts: bool = False
    """A text and an interval are a text, not a DATETIME"""
    like_reads_escape: bool = False
    """ESCAPE has an effect"""
    moments_take_t: bool = False
    """A DATETIME column takes a text with T between date and time"""
    stores_strictly: bool = False
    """Columns of moments cast what they are given by `cast_strict`"""
    full_joins: bool = False
    """FULL OUTER JOIN"""
    bool_has_sum: bool = False
    """SUM of BOOL counts what is true; AVG has none"""
    offset_without_limit: bool = False
    """OFFSET without LIMIT"""
    having_filters_rows: bool = False
    """HAVING of a query that groups and aggregates nothing may name what it selects"""
    unix_timestamp_keeps_fraction: bool = False
    """... of a moment that is no text, always with six digits"""
    collations: tuple[tuple[object, ...], ...] = COLLATIONS
    """Rows of SHOW COLLATION"""
    locking_shares: bool = False
    """FOR SHARE and LOCK IN SHARE MODE"""
    filtered_labels_are_lower_case: bool = True
    """SHOW ... WHERE gives lower-case labels"""
    information_schema_labels_upper_case: bool = False
    statistics_follow_account: bool = False
    """information_schema.statistics is empty after SHOW PITR, as the other views are"""
    byte_types_count_bytes: bool = True

    intervals_in_capitals: bool = False
    """A label says `INTERVAL 1 day`, not `interval(1, day)`"""
    unions_number_nulls: bool = True
    """NULL beside numbers in a UNION leaves them numbers; it makes them texts otherwise"""
    misspells_ambiguous: bool = True
    """`ambiguouse column reference to 'a'`"""
    separators_shown: bool = False
    """The label of GROUP_CONCAT says `separator`"""

    # -- casts -------------------------------------------------------------------------
    cast_wraps_bigint: bool = False
    cast_wraps_double_to_unsigned: bool = True
    cast_rounds_double_to_even: bool = False
    cast_truncates_decimal_to_unsigned: bool = True
    cast_reads_leading_number: bool = False
    """... of a text; the whole text must be one otherwise"""
    cast_moments_as_digits: bool = False
    """A moment as a number is its digits, not the time since 1970"""
    cast_bad_date_is_null: bool = False
    cast_decimal_saturates: bool = False
    cast_truncates_json_to_integer: bool = False
    """A number in JSON as an integer is cut, not rounded"""
    cast_json_gives_its_text: bool = False
    """A text in JSON as CHAR is without its quotes"""
    cast_truncates_texts: bool = False
    """A text too long for CHAR(n) is cut, not refused"""


_WINDOWS_3_0_9 = frozenset(["first_value", "last_value", "lag", "lead", "nth_value"])
_SHOWS_3_0_18 = ("CDC", "TASKS", "TASK RUNS [rest]", "RULES ON ROLE name")
_SHOWS_4_2_0 = (
    "PROFILE [rest]",
    "PUBLICATION COVERAGE name",
    "CCPR SUBSCRIPTION [rest]",
    "CCPR SUBSCRIPTIONS",
    "ICEBERG CATALOGS|NAMESPACES|TABLES [rest]",
    "MONGODB CONNECTIONS [like] [where]",
)

_V2_2_2 = Rules(
    version="2.2.2",
    version_text="8.0.30-MatrixOne-v2.2.0",
    functions=KNOWN_2_2_2,
    keywords=KEYWORDS_2_2_2,
    reserved=RESERVED,
)
_V3_0_9 = replace(
    _V2_2_2,
    version="3.0.9",
    added_key_shows_the_comment=False,
    version_text="8.0.30-MatrixOne-v3.0.9",
    functions=KNOWN_3_0_9,
    window_functions=_V2_2_2.window_functions | _WINDOWS_3_0_9,
    keywords=KEYWORDS_3_0_9,
    more_statements=frozenset(["DATA"]),
    internal_pitrs=True,
    pitrs_are_prepared=True,
    rebuild_detaches=True,
    sys_finds_all_tables=False,
    pitr_times_are_nanoseconds=True,
    restore_needs_parents=True,
    windows_as_json_list=True,
    tenants_show_own_windows_by_name=True,
    status_bit_of_idle_is_on=False,
    prepare_from_variables=True,
    clones=True,
    rename_column_rebuilds=False,
    own_key_stops=frozenset(
        [
            "add",
            "add_primary",
            "change",
            "drop",
            "drop_default",
            "modify",
            "set_default",
            "truncate",
        ]
    ),
    same_length_rebuilds=False,
    replace_finds_unique=False,
    quotes_doubled_in_expressions=True,
    columns_double_quotes_in_expressions=True,
    rules_with_underscores=False,
)
_V3_0_18 = replace(
    _V3_0_9,
    version="3.0.18",
    version_text="8.0.30-MatrixOne-v3.0.18",
    functions=KNOWN_3_0_18,
    window_functions=_V3_0_9.window_functions | {"cume_dist", "percent_rank"},
    keywords=KEYWORDS_3_0_18,
    more_shows=("CONNECTORS", *_SHOWS_3_0_18),
    create_as_select_of_past=True,
    replace_finds_unique=True,
    null_safe_equal=True,
    unions_number_nulls=False,
    intervals_in_capitals=True,
    drops_several_tables=True,
    decimal_digits=65,
    decimal_scale=30,
    long_decimals_calculate=False,
    columns_double_quotes=True,
    quotes_doubled_in_expressions=False,
    view_security=True,
    integer_division_by_zero_is_null=True,
    div_takes_decimals=True,
    bool_has_sum=True,
    duplicate_names_hidden_column=False,
    added_key_takes_the_only_ones_name=True,
    bool_is_word=False,
    json_is_number=True,
    cast_wraps_double_to_unsigned=False,
    cast_truncates_texts=True,
)
_V4_2_0 = replace(
    _V3_0_18,
    version="4.2.0",
    version_text="8.0.30-MatrixOne-v4.2.0",
    added_key_takes_the_only_ones_name=False,
    replace_reads_rows=True,
    enums_in_joined_updates=True,
    vectors_in_joined_updates=True,
    partitions_are_tables=True,
    ranges_take_indexes=True,
    functions=KNOWN_4_2_0,
    window_functions=_V3_0_18.window_functions | {"ntile"},
    keywords=KEYWORDS_4_2_0,
    reserved=RESERVED | RESERVED_SINCE_4,
    more_statements=frozenset(["CHECK", "DATA", "DUMP", "MERGE", "PERFORM", "REMOVE"]),
    more_shows=_SHOWS_3_0_18 + _SHOWS_4_2_0,
    creations_race=False,
    creation_waits_for_rebuild=True,
    internal_checked_when_executed=True,
    truncate_detaches=True,
    lookup_quotes_names=True,
    long_pitr_name_is_truncated=True,
    logical_ids=True,
    pitr_kind=True,
    panic_code=20101,
    restores_own_account_parts=True,
    restore_looks_up_by_like=False,
    restores_by_brace=True,
    snapshot_kind=True,
    restore_keeps_self_references=False,
    tables_lock_inside_transactions=True,
    prepare_drops_first=True,
    deallocate_checks_name=True,
    several_statements_prepared="prepared statement must contain exactly one statement",
    zone_names=True,
    ansi_quotes=True,
    pipes_always_concatenate=False,
    vector_index_variables=True,
    clone_checks_if_not_exists=True,
    failing_clones_say_ok=False,
    explicit_clone_reads_own_writes=True,
    missing_database_is_unselected=False,
    missing_database_clones_empty=True,
    system_tables=SYSTEM_TABLES_4_2_0,
    drop_database_counts_tables=True,
    drop_database_quotes_names=True,
    drop_index_if_exists=True,
    truncate_checks_parents=True,
    rebuild_forgets_foreign_keys=False,
    database_clone_takes_circles=True,
    rebuild_skips_numbers=True,
    own_key_stops=frozenset(["drop", "modify", "truncate"]),
    checks_are_kept=True,
    generated_columns=True,
    year_and_set_types=True,
    uuid_default_of_text=True,
    view_column_names=True,
    quotes_doubled_in_defaults=True,
    columns_double_quotes_in_expressions=False,
    decimal_scale=65,
    long_decimals_calculate=True,
    numbers_are_json=True,
    cast_truncates_json_to_integer=True,
    cast_json_gives_its_text=True,
    view_security=False,
    integer_division_by_zero_is_null=False,
    bool_has_sum=False,
    bool_texts_checked=True,
    too_long_is_1406=True,
    zero_generates=True,
    replace_counts_deleted=True,
    update_foreign_key_codes=frozenset(["child", "parent", "joined child"]),
    ignore_skips_orphans=True,
    upsert_finds_unique=True,
    upsert_counts_changes=True,
    upsert_of_key_is_dml=True,
    target_cannot_be_read=True,
    delete_with_alias_truncates=False,
    division_by_zero_is_null=True,
    common_types=True,
    intervals_keep_texts=True,
    like_reads_escape=True,
    moments_take_t=True,
    stores_strictly=True,
    full_joins=True,
    separators_shown=True,
    misspells_ambiguous=False,
    least_bigint=True,
    json_arrows=True,
    json_compares_as_text=True,
    enum_sorts_by_place=True,
    grouped_inside_subqueries=True,
    several_rows_code=1242,
    character_sets_listed=True,
    locking_shares=True,
    filtered_labels_are_lower_case=False,
    information_schema_labels_upper_case=True,
    statistics_follow_account=True,
    byte_types_count_bytes=False,
    cascades_count=False,
    cast_wraps_bigint=True,
    cast_rounds_double_to_even=True,
    cast_truncates_decimal_to_unsigned=False,
    cast_reads_leading_number=True,
    cast_moments_as_digits=True,
    cast_bad_date_is_null=True,
    cast_decimal_saturates=True,
)
_MAIN = replace(
    _V4_2_0,
    version="main",
    version_text="8.0.30-MatrixOne-v",
    more_keyword_rows=("WITHIN",),
    functions=KNOWN_MAIN,
    set_commits=False,
    letters_need_no_quotes=True,
    joins_pass_unique_values_on=True,
    isolation="READ-COMMITTED",
    isolation_inside_code=1568,
    database_clone_checks_if_not_exists=True,
    missing_database_clones_empty=False,
    comments_change_in_place=True,
    text_lengths=True,
    foreign_key_rule="NO_ACTION",
    referenced_keys_stay=True,
    unchanged_rows_count=False,
    inserts_unions=True,
    unions_number_nulls=True,
    update_foreign_key_codes=frozenset(["child", "parent", "joined child", "joined parent"]),
    missing_table_code=1146,
    missing_column_code=1054,
    select_into_variables=True,
    offset_without_limit=True,
    having_filters_rows=True,
    upsert_of_column_is_checked=True,
    auto_increment_is_set=True,
    variables_keep_types=True,
    unset_variables_are_null=True,
    bits_are_bytes=True,
    json_is_bool=True,
    uuid_beside_null=True,
    enums_in_joined_updates=False,
    enum_refusal="operator <=>, bad value [ENUM SMALLINT UNSIGNED]",
    collations=COLLATIONS_MAIN,
    own_key_stops=frozenset(["drop", "modify"]),
    foreign_keys_know_origins=True,
    alter_forgets_own_keys=True,
    referenced_columns_lead=True,
    create_as_select_of_snapshots=True,
    snapshots_are_of_their_object=True,
    snapshots_follow_rebuilds=True,
    unix_timestamp_keeps_fraction=True,
    keywords=KEYWORDS_MAIN,
)

RULES = {rules.version: rules for rules in (_V2_2_2, _V3_0_9, _V3_0_18, _V4_2_0, _MAIN)}
"""The versions that the emulator was compared with, oldest first"""


def rules_of(version: str) -> Rules:
    """The rules of a version by its name; ValueError for one that is not known."""
    if version not in RULES:
        known = ", ".join(RULES)
        raise ValueError(f"version {version!r}: the emulator knows {known}; give one of these")
    return RULES[version]
