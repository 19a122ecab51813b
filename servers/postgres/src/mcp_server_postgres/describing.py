"""All there is to know of one table: columns, keys, indexes, constraints, partitions, policies, triggers, DDL."""

from dataclasses import dataclass

from .catalog import TableSummary
from .driver import Connection
from .policy import quote


@dataclass(frozen=True, slots=True)
class ColumnDescription:
    """A column. `generated` is 'stored' or 'virtual', `identity` 'always' or 'by default'."""

    name: str
    type: str
    nullable: bool
    default: str | None
    primary_key_position: int | None
    generated: str | None
    identity: str | None
    comment: str | None
    masked: bool


@dataclass(frozen=True, slots=True)
class Index:
    """An index; `origin` is 'index', 'unique' or 'primary key'. An expression stands as None among the columns."""

    name: str
    columns: list[str | None]
    unique: bool
    partial: bool
    origin: str
    ddl: str | None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of `table` to `references`."""

    table: str
    columns: list[str]
    references: str
    referenced_columns: list[str]
    on_update: str
    on_delete: str


@dataclass(frozen=True, slots=True)
class Constraint:
    """A CHECK, UNIQUE, PRIMARY KEY, FOREIGN KEY or EXCLUDE constraint as SQL."""

    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger, as its DDL."""

    name: str
    ddl: str | None


@dataclass(frozen=True, slots=True)
class RowPolicy:
    """A row-level security policy: which rows a role sees."""

    name: str
    command: str
    roles: list[str]
    using: str | None


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition or a table that inherits, with the bound of its rows."""

    name: str
    bound: str | None


@dataclass(frozen=True, slots=True)
class TableDescription:
    """All there is to know of a table or view. `row_count` is the engine's estimate."""

    name: str
    schema: str
    kind: str
    comment: str | None
    columns: list[ColumnDescription]
    primary_key: list[str]
    unique_keys: list[list[str | None]]
    indexes: list[Index]
    foreign_keys: list[ForeignKey]
    referenced_by: list[ForeignKey]
    constraints: list[Constraint]
    triggers: list[Trigger]
    row_security: bool
    policies: list[RowPolicy]
    partition_key: str | None
    partition_of: str | None
    partitions: list[Partition]
    ddl: str | None
    row_count: int | None
    row_count_exact: bool = False
    note: str | None = None


_NAME = "format(CASE WHEN {n}.nspname = ANY ($2::text[]) THEN '%2$I' ELSE '%1$I.%2$I' END, {n}.nspname, {c}.relname)"
"""A table's name, with its schema where the search path ($2) does not have it."""
_COLUMNS = """
SELECT a.attname::text AS name, CASE WHEN n.nspname = ANY ($2::text[])
    THEN regexp_replace(format_type(a.atttypid, a.atttypmod), '^("([^"]|"")+"|[^".]+)[.]', '')
    ELSE format_type(a.atttypid, a.atttypmod) END AS type, NOT a.attnotnull AS nullable,
  pg_get_expr(d.adbin, d.adrelid) AS default,
  (SELECT array_position(i.indkey::int2[], a.attnum) + 1 FROM pg_index i
    WHERE i.indrelid = a.attrelid AND i.indisprimary) AS primary_key_position,
  CASE a.attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END AS generated,
  CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END AS identity,
  col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_INDEXES = """
SELECT c.relname::text AS name, i.indisunique AS unique, i.indpred IS NOT NULL AS partial,
  CASE WHEN i.indisprimary THEN 'primary key' WHEN EXISTS (SELECT FROM pg_constraint k
    WHERE k.conindid = i.indexrelid AND k.contype = 'u') THEN 'unique' ELSE 'index' END AS origin,
  ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place)
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number <> 0
    WHERE k.place <= i.indnkeyatts ORDER BY k.place) AS columns,
  pg_get_indexdef(i.indexrelid) AS ddl
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = $1::oid AND i.indisvalid ORDER BY c.relname
"""
_FOREIGN_KEYS = f"""
SELECT k.conrelid::int8 AS child, k.confrelid::int8 AS parent, {_NAME.format(n="cn", c="c")} AS table,
  {_NAME.format(n="pn", c="p")} AS references,
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(number, place) JOIN pg_attribute a
    ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place) AS columns,
  ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(number, place) JOIN pg_attribute a
    ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place) AS referenced_columns,
  k.confupdtype::text AS on_update, k.confdeltype::text AS on_delete
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
  JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND (k.conrelid = $1::oid OR k.confrelid = $1::oid) ORDER BY k.conname, k.conrelid
"""  # noqa: S608  # of constants alone
_CONSTRAINTS = """
SELECT conname::text AS name, pg_get_constraintdef(oid) AS definition, confrelid::int8 AS parent
FROM pg_constraint WHERE conrelid = $1::oid AND contype IN ('c', 'u', 'p', 'f', 'x')
ORDER BY contype, conname
"""
_TRIGGERS = """
SELECT tgname::text AS name, pg_get_triggerdef(oid) AS ddl
FROM pg_trigger WHERE tgrelid = $1::oid AND NOT tgisinternal ORDER BY tgname
"""
_POLICIES = """
SELECT polname::text AS name, CASE polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update'
    WHEN 'd' THEN 'delete' ELSE 'all' END AS command,
  ARRAY(SELECT CASE WHEN r = 0 THEN 'public' ELSE pg_get_userbyid(r)::text END FROM unnest(polroles) r)
    AS roles,
  pg_get_expr(polqual, polrelid) AS using
FROM pg_policy WHERE polrelid = $1::oid ORDER BY polname
"""
_PARTITIONS = f"""
SELECT c.oid::int8 AS oid, {_NAME.format(n="n", c="c")} AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = $1::oid ORDER BY c.relname
"""  # noqa: S608  # of constants alone
_SELF = f"""
SELECT c.relrowsecurity AS row_security, CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END
    AS partition_key,
  p.oid::int8 AS parent, CASE WHEN p.oid IS NOT NULL THEN {_NAME.format(n="n", c="p")} END AS partition_of,
  CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid, true) END AS definition
FROM pg_class c LEFT JOIN pg_class p ON p.oid = (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid LIMIT 1)
  LEFT JOIN pg_namespace n ON n.oid = p.relnamespace
WHERE c.oid = $1::oid
"""  # noqa: S608  # of constants alone
_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


async def describe(
    connection: Connection, table: TableSummary, denied: set[int], masked: set[str], path: list[str]
) -> TableDescription:
    """Describe one table or view; what is denied is left out of it, and names in the search path need no schema."""
    ask, oid = connection.ask, table.oid
    (itself,) = await ask(_SELF, oid, path)
    columns = [ColumnDescription(**dict(row), masked=row["name"] in masked) for row in await ask(_COLUMNS, oid, path)]
    indexes = [Index(**dict(row)) for row in await ask(_INDEXES, oid)]
    keys = await ask(_FOREIGN_KEYS, oid, path)
    keys = [row for row in keys if not denied.intersection((row["child"], row["parent"]))]
    partitions = await ask(_PARTITIONS, oid, path)
    constraints = [row for row in await ask(_CONSTRAINTS, oid) if row["parent"] not in denied]
    described = TableDescription(
        name=table.name,
        schema=table.schema,
        kind=table.kind,
        comment=table.comment,
        columns=columns,
        primary_key=[
            column.name
            for column in sorted(columns, key=lambda column: column.primary_key_position or 0)
            if column.primary_key_position
        ],
        unique_keys=[index.columns for index in indexes if index.unique and not index.partial],
        indexes=indexes,
        foreign_keys=[_to_key(dict(row)) for row in keys if row["child"] == oid],
        referenced_by=[_to_key(dict(row)) for row in keys if row["parent"] == oid],
        constraints=[Constraint(row["name"], row["definition"]) for row in constraints],
        triggers=[Trigger(row["name"], row["ddl"]) for row in await ask(_TRIGGERS, oid)],
        row_security=itself["row_security"],
        policies=[RowPolicy(**dict(row)) for row in await ask(_POLICIES, oid)] if not denied else [],
        partition_key=itself["partition_key"],
        partition_of=None if itself["parent"] in denied else itself["partition_of"],
        partitions=[Partition(row["name"], row["bound"]) for row in partitions if row["oid"] not in denied],
        ddl=None,
        row_count=table.row_count,
        note="Masked columns may not be read." if masked else None,
    )
    return _with_ddl(described, itself["definition"])


def _to_key(row: dict[str, object]) -> ForeignKey:
    del row["child"], row["parent"]
    actions = {name: _ACTIONS[str(row[name])] for name in ("on_update", "on_delete")}
    return ForeignKey(**{**row, **actions})  # pyright: ignore[reportArgumentType]  # the columns of the query above


def _with_ddl(table: TableDescription, definition: str | None) -> TableDescription:
    from dataclasses import replace

    return replace(table, ddl="\n".join(_write_ddl(table, definition)))


def _write_ddl(table: TableDescription, definition: str | None) -> list[str]:
    """Write the table as SQL again; PostgreSQL keeps no text of it."""
    name = f"{quote(table.schema)}.{quote(table.name)}" if table.schema != "public" else _plain(table.name)
    if definition is not None:
        noun = "MATERIALIZED VIEW" if table.kind == "materialized view" else "VIEW"
        return [f"CREATE {noun} {name} AS\n{definition.rstrip().rstrip(';')};", *_indexes(table)]
    parts = [f"    {_write_column(column)}" for column in table.columns]
    parts += [f"    CONSTRAINT {_plain(each.name)} {each.definition}" for each in table.constraints]
    noun = "FOREIGN TABLE" if table.kind == "foreign table" else "TABLE"
    end = f" PARTITION BY {table.partition_key}" if table.partition_key else ""
    lines = [f"CREATE {noun} {name} (\n" + ",\n".join(parts) + f"\n){end};", *_indexes(table)]
    if table.row_security:
        lines.append(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;")
    lines += [f"{trigger.ddl};" for trigger in table.triggers]
    if table.comment:
        lines.append(f"COMMENT ON TABLE {name} IS {_literal(table.comment)};")
    lines += [
        f"COMMENT ON COLUMN {name}.{_plain(column.name)} IS {_literal(column.comment)};"
        for column in table.columns
        if column.comment
    ]
    return lines


def _write_column(column: ColumnDescription) -> str:
    words = [_plain(column.name), column.type]
    if column.generated:
        words.append(f"GENERATED ALWAYS AS ({column.default}) {column.generated.upper()}")
    elif column.identity:
        words.append(f"GENERATED {column.identity.upper()} AS IDENTITY")
    elif column.default is not None:
        words.append(f"DEFAULT {column.default}")
    if not column.nullable:
        words.append("NOT NULL")
    return " ".join(words)


def _indexes(table: TableDescription) -> list[str]:
    return [f"{index.ddl};" for index in table.indexes if index.origin == "index"]


def _plain(name: str) -> str:
    """A name as it is where it needs no quotes."""
    return name if name.isidentifier() and name.isascii() and name == name.lower() else quote(name)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
