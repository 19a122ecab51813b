"""PostGIS: geometry is served, and what runs SQL in a text, writes, or reads files is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.servers.postgres.conftest import Opener, Shop, command, has_extension, side_database

from mcp_server_postgres.policy import Policy

PLACES = """
CREATE EXTENSION postgis;
CREATE TABLE places (id int PRIMARY KEY, name text, g geometry(Point, 4326), gg geography);
INSERT INTO places VALUES (1, 'Rome', 'SRID=4326;POINT(12.5 41.9)', 'POINT(12.5 41.9)'),
    (2, 'Oslo', 'SRID=4326;POINT(10.75 59.91)', 'POINT(10.75 59.91)');
CREATE INDEX ON places USING gist (g);
CREATE INDEX ON places USING gist (gg);
CREATE TABLE vaults AS SELECT 1 AS id, 'SRID=4326;POINT(7 7)'::geometry AS g, 'hush' AS code;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;
ANALYZE;
"""
RASTERS = """
CREATE EXTENSION postgis_raster;
CREATE TABLE fields AS SELECT ST_AddBand(ST_MakeEmptyRaster(2, 2, 0, 0, 1), '8BUI'::text) AS rast;
GRANT SELECT ON fields TO PUBLIC;
"""
HONEST = [
    "SELECT id, g, gg FROM places",
    "SELECT ST_AsText(g), ST_X(g), ST_SRID(g), ST_AsEWKT(gg), ST_AsGeoJSON(g)::json FROM places",
    "SELECT ST_Distance(a.gg, b.gg) FROM places a, places b WHERE a.id < b.id AND NOT ST_DWithin(a.gg, b.gg, 10)",
    "SELECT name FROM places WHERE g && ST_MakeEnvelope(0, 0, 50, 50, 4326) ORDER BY g <-> 'SRID=4326;POINT(1 1)'",
    "SELECT ST_Transform(g, 3857), ST_Area(ST_Buffer(gg, 1000)) FROM places",
    "SELECT ST_Union(g), ST_Collect(g), ST_Extent(g), ST_MakeLine(g), ST_ConvexHull(ST_Collect(g)) FROM places",
    "SELECT (ST_Dump(ST_Collect(g))).geom FROM places",
    "SELECT ST_AsMVT(q) FROM (SELECT id, g FROM places) q",
    "SELECT ST_ClusterDBSCAN(g, 1, 1) OVER (), ST_ClusterKMeans(g, 2) OVER () FROM places",
    "SELECT ST_GeneratePoints(ST_Buffer(g, 1), 5), ST_Subdivide(ST_Buffer(g, 1)) FROM places",
    "SELECT g::text, g::json, box2d(g), box3d(g), ST_GeoHash(g) FROM places",
    "SELECT to_jsonb(p) FROM places p",
    "SELECT * FROM geometry_columns",
    "SELECT srid, srtext FROM spatial_ref_sys LIMIT 2",
    "SELECT postgis_version(), postgis_full_version()",
    "SELECT ST_EstimatedExtent('places', 'g')",
]
WRITING = [
    "SELECT AddGeometryColumn('places', 'h', 4326, 'POINT', 2)",
    "SELECT DropGeometryColumn('places', 'g')",
    "SELECT DropGeometryTable('places')",
    "SELECT populate_geometry_columns()",
    "SELECT populate_geometry_columns('vaults'::regclass)",
    "SELECT UpdateGeometrySRID('places', 'g', 3857)",
    "SELECT postgis_extensions_upgrade()",
    "SELECT EnableLongTransactions()",
]
COLUMNS = """
SELECT md5(string_agg(concat(attrelid, attname, atttypid, atttypmod), ',' ORDER BY attrelid, attnum)) FROM pg_attribute
"""
SQL_IN_TEXTS = [
    "SELECT ST_MapAlgebra(rast, 1, '64BF', 'length(pg_read_file(''/etc/hostname''))') FROM fields",
    "SELECT ST_MapAlgebra(rast, 1, '64BF', '(SELECT length(code) FROM vaults)') FROM fields",
    "SELECT ST_MapAlgebraExpr(rast, 1, '64BF', 'pg_sleep(9)::text::float') FROM fields",
    "SELECT ST_ValueCount('fields', 'rast')",
    "SELECT ST_FromGDALRaster('\\x00'::bytea)",
    "SELECT ST_SetBandPath(rast, 1, '/etc/hostname', 1) FROM fields",
]


@pytest.fixture(scope="module")
def places(shop: Shop) -> Iterator[Shop]:
    """A database with PostGIS."""
    if not has_extension(shop, "postgis"):
        pytest.skip("this PostgreSQL does not bring PostGIS: Debian's postgresql-NN-postgis-3 does")
    with side_database(shop) as side:
        command(side.superuser, PLACES)
        if has_extension(shop, "postgis_raster"):
            command(side.superuser, RASTERS)
        yield side


@pytest.mark.parametrize("sql", HONEST)
def test_an_honest_question_about_places_is_answered_in_json(desk: Opener, places: Shop, sql: str) -> None:
    assert json.loads(json.dumps(desk(None, places.url()).query(sql), allow_nan=False))


def test_geometry_comes_as_the_text_that_goes_into_params_again(desk: Opener, places: Shop) -> None:
    reader = desk(None, places.url())
    ((point, json_of_it),) = reader.query("SELECT g, ST_AsGeoJSON(g)::json FROM places WHERE id = 1")
    assert point.startswith("0101000020E6100000")
    assert json_of_it == {"type": "Point", "coordinates": [12.5, 41.9]}
    assert reader.one("SELECT name FROM places WHERE g = $1", [point]) == "Rome"
    assert reader.one("SELECT name FROM places WHERE ST_DWithin(gg, $1, 10)", ["POINT(12.5 41.9)"]) == "Rome"


@pytest.mark.parametrize("sql", WRITING)
def test_a_function_that_changes_tables_is_refused_and_changes_nothing(desk: Opener, places: Shop, sql: str) -> None:
    before = command(places.superuser, COLUMNS)
    for dsn, policy in ((places.url(), Policy()), (places.superuser, Policy(allow_superuser=True))):
        assert "read-only transaction" in desk(policy, dsn).refusal(sql)
    assert command(places.superuser, COLUMNS) == before


@pytest.mark.parametrize("sql", SQL_IN_TEXTS)
def test_what_runs_sql_in_a_text_or_reads_files_is_refused(desk: Opener, places: Shop, sql: str) -> None:
    if not has_extension(places, "postgis_raster"):
        pytest.skip("this PostGIS has no rasters")
    strict = Policy(deny_tables=frozenset({"vaults"}))
    for dsn, policy in (
        (places.url(), Policy()),
        (places.url(), strict),
        (places.superuser, Policy(allow_superuser=True)),
    ):
        assert "runs a text as SQL" in desk(policy, dsn).refusal(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ST_EstimatedExtent('vaults', 'g')",
        "SELECT ST_FindExtent('vaults', 'g')",
        "SELECT _postgis_stats('vaults', 'g')",
        "SELECT g FROM vaults",
    ],
)
def test_a_withheld_table_s_places_are_told_by_no_function(desk: Opener, places: Shop, sql: str) -> None:
    strict = desk(Policy(deny_tables=frozenset({"vaults"})), places.url())
    assert "Refused" in strict.refusal(sql)
    assert strict.one("SELECT ST_X(ST_Centroid(ST_Collect(g))) FROM places") == 11.625
