"""Generated statements over served, masked and denied tables: two vaults that differ in the secret tell the same."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import ALPHA, DENIED, Desk

GUESS = f"'{ALPHA}-1'"
NUMBER = sum(ALPHA.encode()) * 10 + 1
CUSTOMERS = ["id", "name", "ssn", "city", "tag", "sealed", "twice", "label", "rowid", "lower(ssn)"]
SERVED = {
    "customers": CUSTOMERS,
    "(SELECT * FROM customers)": CUSTOMERS[:8],
    "(SELECT ssn, city FROM customers WHERE id < 3)": ["ssn", "city"],
    "(SELECT id, sealed FROM customers ORDER BY city)": ["id", "sealed"],
    "contacts": ["id", "name", "ssn", "tag"],
    "badges": ["level", "code", "owner"],
    "cards": ["number", "holder", "rowid"],
    "orders": ["id", "customer_id", "credential_id", "total"],
    "spending": ["customer_id", "spent"],
    "docs": ["title", "body", "rowid"],
    "docs_words": ["term", "doc", "cnt"],
    f"(SELECT {GUESS} AS ssn, 'Rome' AS city)": ["ssn", "city"],
    f"(SELECT {GUESS} AS tag, 'name1' AS name)": ["tag", "name"],
    f"(SELECT {GUESS} AS code, 1 AS level)": ["code", "level"],
    f"(SELECT upper({GUESS}) AS sealed, {GUESS} || {GUESS} AS twice)": ["sealed", "twice"],
    f"(SELECT {NUMBER} AS number)": ["number"],
    "json_each('[1, 2]')": ["key", "value", "id"],
}
WITHHELD = {
    "credentials": ["id", "login", "password", "city"],
    "keyring": ["token", "service"],
    "passwords": ["login", "password"],
    "positions": ["id", "x0", "x1"],
    "names": ["name", "ssn"],
    "letters": ["login", "password"],
    "vault_docs": ["body"],
    "sqlite_stat1": ["tbl", "idx", "stat"],
    "sqlite_schema": ["name", "sql", "rootpage"],
    "pragma_table_list": ["name", "ncol"],
}
TABLES = SERVED | WITHHELD
JOINS = ["NATURAL JOIN", "NATURAL LEFT JOIN", "NATURAL FULL JOIN", "CROSS JOIN", "JOIN", "LEFT JOIN"]
FUNCTIONS = ["{}", "{}", "{}", "min({})", "count({})", "hex({})", "rank() OVER (ORDER BY {})", "typeof({})"]
WRAPS = ["WITH w AS ({}) SELECT * FROM w", "SELECT * FROM ({})", "SELECT ({} LIMIT 1)", "SELECT EXISTS ({})"]


def choose(draw: st.DrawFn, options: list[str]) -> str:
    return draw(st.sampled_from(options))


def join_tables(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Mostly of the served ones: a statement over a withheld table is refused whatever else it does."""
    pool = list(SERVED) if draw(st.integers(0, 3)) else list(TABLES)
    sources = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3))
    text, columns = f"{sources[0]} AS s0", list(TABLES[sources[0]])
    for place, table in enumerate(sources[1:], 1):
        join = choose(draw, JOINS)
        shared = [column for column in TABLES[table] if column in columns and "(" not in column]
        using = f" USING ({choose(draw, shared)})" if shared and "NATURAL" not in join else ""
        text += f" {join} {table} AS s{place}{using}"
        columns += TABLES[table]
    return text, columns


@st.composite
def selects(draw: st.DrawFn, depth: int = 2) -> str:
    text, columns = join_tables(draw)
    column = st.sampled_from(columns)
    items = st.tuples(st.sampled_from(FUNCTIONS), column).map(lambda pair: pair[0].format(pair[1]))
    lists = st.lists(items, min_size=1, max_size=3).map(", ".join)
    sql = f"SELECT {choose(draw, ['', 'DISTINCT '])}{draw(st.one_of(st.just('*'), lists))} FROM {text}"
    if draw(st.booleans()):
        inner = choose(draw, list(SERVED))
        right = choose(draw, [GUESS, "'Rome'", "2", f"(SELECT {choose(draw, SERVED[inner])} FROM {inner})"])
        sql += f" WHERE {draw(column)} {choose(draw, ['=', '>', 'LIKE', 'IS NOT', '<='])} {right}"
    if draw(st.integers(0, 3)) == 0:
        sql += f" GROUP BY {draw(column)}"
    if depth and draw(st.integers(0, 3)) == 0:
        sql = choose(draw, WRAPS).format(sql)
    if depth and draw(st.integers(0, 4)) == 0:
        sql = f"{sql} {choose(draw, ['UNION', 'EXCEPT', 'INTERSECT', 'UNION ALL'])} {draw(selects(depth=0))}"
    return sql


@settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sql=selects())
def test_no_generated_statement_tells_the_secret(vaults: tuple[Desk, Desk], sql: str) -> None:
    alpha, bravo = (desk.ask(sql) for desk in vaults)
    assert alpha == bravo
    assert [name for name in DENIED if name in alpha and name not in sql] == []


def test_the_generator_makes_statements_that_are_answered(vaults: tuple[Desk, Desk]) -> None:
    answered: list[bool] = []

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(sql=selects())
    def count(sql: str) -> None:
        answered.append(not vaults[0].ask(sql).startswith("REFUSED"))

    count()
    assert sum(answered) > len(answered) // 5
