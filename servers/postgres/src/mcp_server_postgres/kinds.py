"""PostgreSQL's types, as far as their values must be told apart to become JSON."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from .driver import Connection


@dataclass(slots=True)
class Kind:
    """A type. `form` is bool, int, float, numeric, text, json, bytea, array, composite or void.

    `is_direct` says that the driver reads it as it is; everything else comes as the text that PostgreSQL writes.
    `written` is the name with its schema, where the name alone does not do. `output` is PostgreSQL's own function that
    writes it, which takes less than half the time that `format` does.
    """

    name: str
    form: str = "text"
    is_direct: bool = False
    is_long: bool = True
    element: "Kind | None" = None
    fields: list[tuple[str, "Kind"]] = field(default_factory=list[tuple[str, "Kind"]])
    delimiter: str = ","
    written: str = ""
    output: str = ""

    @property
    def cast(self) -> str:
        """The name by which SQL means this type whatever the search path."""
        return self.written or self.name


Known = dict[int, Kind]

_SCALARS: dict[int, Kind] = {
    16: Kind("boolean", "bool", True, False),
    17: Kind("bytea", "bytea", True),
    18: Kind('"char"', is_long=False),
    19: Kind("name", is_long=False),
    20: Kind("bigint", "int", True, False),
    21: Kind("smallint", "int", True, False),
    23: Kind("integer", "int", True, False),
    25: Kind("text", "text", True),
    26: Kind("oid", "int", True, False),
    114: Kind("json", "json", output="json_out"),
    142: Kind("xml"),
    700: Kind("real", "float", False, False, output="float4out"),
    701: Kind("double precision", "float", True, False),
    705: Kind("text", "text", False),
    869: Kind("inet", is_long=False),
    650: Kind("cidr", is_long=False),
    1042: Kind("character"),
    1043: Kind("character varying", "text", True),
    1082: Kind("date", is_long=False, output="date_out"),
    1083: Kind("time without time zone", is_long=False),
    1114: Kind("timestamp without time zone", is_long=False, output="timestamp_out"),
    1184: Kind("timestamp with time zone", is_long=False, output="timestamptz_out"),
    1186: Kind("interval", is_long=False),
    1266: Kind("time with time zone", is_long=False),
    1700: Kind("numeric", "numeric", output="numeric_out"),
    2249: Kind("record"),
    2278: Kind("void", "void", False, False),
    2950: Kind("uuid", is_long=False, output="uuid_out"),
    3802: Kind("jsonb", "json", output="jsonb_out"),
}
_ARRAYS = {
    1000: 16,
    1003: 19,
    1005: 21,
    1007: 23,
    1009: 25,
    1015: 1043,
    1016: 20,
    1022: 701,
    1182: 1082,
    1115: 1114,
    1185: 1184,
    1231: 1700,
    2951: 2950,
    3807: 3802,
}

_READ_TYPES = """
SELECT t.oid::int8 AS oid, format_type(t.oid, NULL) AS written, quote_ident(n.nspname) || '.' AS prefix,
  n.nspname = ANY ($2::text[]) AS found, t.typtype::text AS type, t.typlen AS size,
  CASE WHEN t.typcategory = 'A' AND t.typlen = -1 AND t.typarray = 0 THEN t.typelem::int8 ELSE 0 END AS element,
  t.typbasetype::int8 AS underlying, t.typdelim::text AS delimiter,
  ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = t.typrelid AND t.typrelid <> 0
    AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS names,
  ARRAY(SELECT a.atttypid::text FROM pg_attribute a WHERE a.attrelid = t.typrelid AND t.typrelid <> 0
    AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS parts
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = ANY ($1::oid[])
"""


def all_known(oids: Iterable[int]) -> bool:
    """Whether no catalog need be asked for the kinds of these types."""
    return all(oid in _SCALARS or oid in _ARRAYS for oid in oids)


async def load_kinds(connection: Connection, oids: Iterable[int], path: list[str]) -> Known:
    """Give the kinds of types, and of those they are made of; what lies in the search path is named without schema."""
    known = dict(_SCALARS)
    known |= {
        oid: Kind(f"{known[element].name}[]", "array", element=known[element]) for oid, element in _ARRAYS.items()
    }
    waiting = set(oids) - known.keys()
    links: list[tuple[Kind, int, list[int]]] = []
    underlying: list[tuple[int, int]] = []
    while waiting:
        rows = await connection.ask(_READ_TYPES, list(waiting), path)
        missing = waiting - {row["oid"] for row in rows}
        known |= {oid: Kind("unknown") for oid in missing}
        waiting = set[int]()
        for row in rows:
            name = row["written"].removeprefix(row["prefix"]) if row["found"] else row["written"]
            kind = Kind(name, is_long=row["size"] < 0, delimiter=row["delimiter"], written=row["written"])
            known[row["oid"]] = kind
            if row["element"]:
                kind.form = "array"
                links.append((kind, row["element"], []))
                waiting.add(row["element"])
            elif row["names"] and row["type"] == "c":
                kind.form = "composite"
                kind.fields = [(name, kind) for name in row["names"]]
                parts = list(map(int, row["parts"]))
                links.append((kind, 0, parts))
                waiting.update(parts)
            elif row["underlying"]:
                underlying.append((row["oid"], row["underlying"]))
                waiting.add(row["underlying"])
        waiting -= known.keys()
    _link(known, links, underlying)
    return known


def _link(known: Known, links: list[tuple[Kind, int, list[int]]], underlying: list[tuple[int, int]]) -> None:
    """Join the kinds once all are there; a domain reads as what it is made of, which may be a domain itself."""
    for _ in underlying:
        for oid, base in underlying:
            kind, source = known[oid], known[base]
            kind.form, kind.element, kind.fields = source.form, source.element, source.fields
            kind.is_long, kind.delimiter = source.is_long, source.delimiter
            if source.form == "bytea":
                kind.form = "hex"
    for kind, element, parts in links:
        if element:
            kind.element, kind.delimiter = known[element], known[element].delimiter
        kind.fields = [(name, known[part]) for (name, _), part in zip(kind.fields, parts, strict=False)]
    for _ in underlying:
        for oid, base in underlying:
            known[oid].element, known[oid].fields = known[base].element, known[base].fields
