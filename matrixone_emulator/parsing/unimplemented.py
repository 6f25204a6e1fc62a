"""Grammar that the emulator does not implement, told from syntax errors of the server.

The emulator's readers know a part of the server's grammar. Where one of them stops, the server
may read on; only where it cannot is the answer its 1064. The server's keywords tell: a reader
stops *at* one that ends nothing, or right beside one that no reader of the emulator knows.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import SqlError
from ..versions.rules import Rules
from .lexer import Token, syntax_error
from .redact import unsupported
from .scanner import Kind, Source

# Words at which a statement of the emulator's own grammar breaks off when it is wrong, and
# keywords that many tables have as names of columns.
_ORDINARY_WORDS = """
    and as asc between by case create delete desc drop else end exists false from group having
    if in insert into is join key limit not null on or order select set table then true union
    update values when where with account action active comment data date datetime day
    description end event file format hour id level minute month name names number password
    position quarter role second session state status text time timestamp type user value week
    year
"""
_ORDINARY = frozenset(_ORDINARY_WORDS.split())

# Keywords that open what no reader of the emulator knows.
_UNKNOWN_WORDS = """
    accessible against apply array asensitive async attribute auto_random auto_update
    autoextend_size backend bindings bits_per_code bm25 bsi cagra cancel cascaded catalogs ccpr
    centroidx cipher column_format compact compressed connectors cross cycle datastream day_hour
    day_microsecond day_minute day_second declare dedup definer delay_key_write delayed
    directory disable discard distinctrow distribution_mode drainer ef_construction ef_search
    elseif enable enclosed engine_attribute exclusive expansion extension failed_login_attempts
    filesystem following force_quote force_sync fulltext2 gapfill geography geography32
    geometry32 geometrycollection geometrycollection32 graph_degree headers high_priority hnsw
    hour_microsecond hour_minute hour_second iceberg include increment infile inline inout
    insensitive insert_method intermediate_graph_degree interval invoker io_after_gtids
    isolation issuer iterate itopk_size ivfflat ivfpq jsontype kmeans kmeans_max_iteration
    kmeans_train_percent language linear linestring linestring32 lists logservice loop
    low_cardinality low_priority master_bind max_connections_per_hour max_file_size
    max_index_capacity max_postings_capacity max_queries_per_hour max_update_per_hour
    max_user_connections maxvalue merge minus minute_microsecond minute_second minvalue modifies
    modump mongodb mongodb_convert mongodb_path multilinestring multilinestring32 multipoint
    multipoint32 multipolygon multipolygon32 mysql_compatibility_mode namespaces
    no_write_to_binlog nulls op_type optimize optimizer_costs option optionally overwrite
    parallel parallelism partition password_lock_time pause percentile_cont percentile_disc
    perform point32 polygon polygon32 position_free preceding properties proxy publication
    quantization quantizer_train_limit query_result quick random read_write redundant reindex
    reload repair repeatable replication require resignal resume returning reuse rtree s3option
    schedule second_microsecond secondary secondary_engine_attribute security sensitive
    serializable signal sliding spatial splitsize sql_big_result sql_buffer_result sql_cache
    sql_calc_found_rows sql_no_cache sql_small_result sqlexception sqlwarning srid ssl
    stageoption starting stats_auto_recalc stats_sample_pages storage subpartition subpartitions
    sync sync_interval tablespace temptable unbounded undefined unique_check_on_autoincr
    validation varcharacter vecbf16 vecf16 vecf32 vecf64 vecint8 vecuint8 within x509 year_month
    zonemap
"""
_UNKNOWN = frozenset(_UNKNOWN_WORDS.split())


def is_unimplemented(words: Sequence[str], at: int, rules: Rules) -> bool:
    """Whether the server may parse on where a reader stopped at word *at*.

    *words* are those of the statement in lower case, signs as they are, and '' for names in
    back-quotes, texts and numbers.
    """
    here = words[at] if at < len(words) else ""
    if here in rules.keywords - _ORDINARY:
        return True
    behind = at - 2 if at > 1 and words[at - 1] == "(" else at - 1
    near = {words[i] for i in (behind, at - 1) if i >= 0} | set(words[at + 1 : at + 3])
    return bool(near & _UNKNOWN & rules.keywords)


def source_parse_error(source: Source, at: int, rules: Rules) -> SqlError:
    """Refusal of a statement at word *at*: 1064, or 1235 if only by us."""
    words = [
        token.word or (token.value if token.kind is Kind.OTHER else "") for token in source.tokens
    ]
    if is_unimplemented(words, at, rules):
        return unsupported(source.statement)
    return source.error(source.tokens[at])


def parse_error(statement: str, found: list[Token], start: int, rules: Rules) -> SqlError:
    """Refusal of a statement that is not parsed from *start* on: 1064, or 1235 if only by us."""
    at = next((i for i, token in enumerate(found) if token.start >= start), len(found))
    if is_unimplemented([token.upper.lower() for token in found], at, rules):
        return unsupported(statement)
    return syntax_error(statement, found, start)
