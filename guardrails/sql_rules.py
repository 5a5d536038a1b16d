"""What a reading SQL statement is made of: kinds of nodes and functions that change nothing and reach nowhere, as data.

Names of nodes are those of sqlglot's classes. Whatever stands on no list is refused.
"""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


READING_NODES = _names(
    """
    BitString ByteString CTE ColumnDef Cube Except Fetch Final From Group GroupingSets Having HexString Intersect
    JSON JSONColumnDef JSONKeyValue JSONPath JSONPathKey JSONPathRoot JSONPathSelector JSONPathSubscript
    JSONPathWildcard JSONSchema JSONValue Join Lambda Lateral Limit LimitOptions National Offset Order
    OverflowTruncateBehavior Pivot Qualify RawString Rollup Schema Select Subquery Table TableAlias TableSample
    Tuple Union Unnest UnpivotColumns Values Version Where Window WindowSpec With
    """
)
"""Parts of a query that only read."""

REFUSED_NODES = _names(
    """
    Cache Command DynamicIdentifier Hint JoinHint LockingStatement NestedJSONSelect PropertyEQ Refresh
    SessionParameter Uncache
    """
)
"""Parts of expressions that are not for a statement that only reads; all others of sqlglot's core are."""

HARMLESS_MODULES = frozenset({"aggregate", "array", "json", "math", "string", "temporal"})
"""The families of functions that sqlglot knows, none of which reaches beyond the query, but those refused below."""

REFUSED_FUNCTIONS = _names(
    """
    AIAgg AISummarizeAgg Apply Decrypt DecryptRaw Encrypt EncryptRaw Generator Inline ObjectId OpenJSON Secret
    ToFile
    """
)
"""Functions of those families that do."""

HARMLESS_FUNCTIONS = _names(
    """
    And ApproxDistinct Case Cast CastToStrType Coalesce Collate Columns Convert CurrentDate DecodeCase EqualNull
    Exists Float64 Greatest Hll If Int64 IsArray IsNullValue JSONCast JSONValueArray Least Normal Nullif Nvl2 Or
    Pow Rand Randn RangeBucket RegexpLike SafeFunc ToBoolean Try TryCast Typeof WeekStart WidthBucket Xor
    """
)
"""Further functions that sqlglot knows and that are harmless."""

HARMLESS_NAMES = _names(
    """
    abs acos age array_cat array_length array_lower array_ndims array_position array_positions array_remove
    array_upper asin atan atan2 avg bit_count bit_length btrim cardinality ceil ceiling changes char_length
    character_length charindex clock_timestamp concat concat_ws cos count date date_diff date_format date_part
    date_trunc dateadd datediff datename datepart datetime day dayname dayofmonth dayofweek dayofyear div elt
    eomonth exp field find_in_set floor format from_days from_unixtime gcd getdate hour ifnull iif initcap instr
    interval isdate isnull isnumeric json_array json_array_elements json_array_elements_text json_array_length
    json_contains json_depth json_each json_extract json_extract_path json_extract_path_text json_group_array
    json_group_object json_keys json_length json_object json_object_keys json_patch json_pretty json_quote
    json_search json_tree json_type json_typeof json_unquote json_valid jsonb_array_elements
    jsonb_array_elements_text jsonb_array_length jsonb_each jsonb_each_text jsonb_extract_path
    jsonb_extract_path_text jsonb_object_keys jsonb_path_query jsonb_pretty jsonb_typeof julianday last_day lcm
    len length likelihood likely ln localtime localtimestamp log log10 log2 lower lpad ltrim make_date
    make_interval make_time make_timestamp maketime max microsecond min minute mod month monthname months_between
    nanvl now num_nonnulls num_nulls nvl octet_length patindex period_add period_diff pg_typeof phraseto_tsquery
    pi plainto_tsquery position power printf quarter quote quote_literal radians random regexp_count regexp_instr
    regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr repeat
    replace reverse round row rpad rtrim sec_to_time second sign similarity sin split_part sqrt starts_with
    statement_timestamp str_to_date strftime string_agg string_split string_to_array string_to_table strpos substr
    substring sum sysdate tan time timediff timeofday timestampdiff to_char to_date to_days to_number to_seconds
    to_timestamp to_tsquery to_tsvector total transaction_timestamp translate trim trunc ts_headline ts_rank
    ts_rank_cd typeof unicode unistr unixepoch unlikely unnest upper utc_date utc_time utc_timestamp
    websearch_to_tsquery week weekday weekofyear word_similarity year yearweek
    """
)
"""Functions that sqlglot does not know in each dialect, and that are harmless in those that have them."""

SYSTEM_SCHEMAS = _names(
    """
    information_schema master model msdb mysql performance_schema pg_catalog pg_toast sys system tempdb
    """
)
"""Schemas and databases with what a database knows of itself and its users."""

SYSTEM_TABLES = ("sqlite_", "pg_", "pragma_", "duckdb_", "sys", "dba_", "all_tables", "all_users", "v$", "gv$")
"""How tables of that kind begin where they need no schema."""

WRITING_NODES = {
    "insert": frozenset({"Insert", "OnConflict", "Returning"}),
    "update": frozenset({"Update", "Returning"}),
    "delete": frozenset({"Delete", "Returning"}),
    "merge": frozenset({"Merge", "Whens", "When", "Insert", "Update", "Returning"}),
}
"""What stands in statements that write."""
