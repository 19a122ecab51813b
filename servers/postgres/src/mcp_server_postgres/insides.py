"""What stands behind the names in a statement's tree: the queries for it, all with `pg_catalog` as the only path."""

_COLUMNS_OF = """ARRAY(SELECT d.refobjid::int8 || '.' || d.refobjsubid FROM pg_depend d WHERE d.objid = {object}
    AND d.classid = '{catalog}'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> {itself})"""

RELATIONS = f"""
WITH about(oid) AS (SELECT unnest($1::oid[]))
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'stored' ELSE 'elsewhere' END AS kind, c.oid::int8 AS oid,
  r.ev_action::text AS tree, r.xmin::text AS mark,
  {_COLUMNS_OF.format(object="r.oid", catalog="pg_rewrite", itself="c.oid")} AS columns
FROM about JOIN pg_class c ON c.oid = about.oid
  LEFT JOIN pg_rewrite r ON r.ev_class = c.oid AND r.ev_type = '1' AND c.relkind IN ('v', 'm')
WHERE c.relkind IN ('v', 'm', 'f') OR c.relhassubclass
UNION ALL
SELECT 'tree', 0, concat(' ', indexprs, ' ', indpred), NULL, NULL FROM pg_index
WHERE indrelid IN (SELECT oid FROM about WHERE oid >= 16384) AND (indexprs IS NOT NULL OR indpred IS NOT NULL)
UNION ALL
SELECT 'tree', 0, concat(' ', conbin), NULL, NULL FROM pg_constraint
WHERE conrelid IN (SELECT oid FROM about WHERE oid >= 16384) AND contype = 'c'
"""  # noqa: S608  # of constants alone
"""What stands behind relations: the rules of views, also of those that were stored; what in their indexes and checks
hangs on no column, which the planner computes ahead of every query; and which are foreign or have heirs, so that
`PROGRAMS` must be asked."""

PROGRAMS = """
WITH RECURSIVE below(oid) AS (
  SELECT unnest($1::oid[])
  UNION
  SELECT i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid)
SELECT f.ftrelid::regclass::text AS name FROM below JOIN pg_foreign_table f ON f.ftrelid = below.oid
  JOIN pg_foreign_server s ON s.oid = f.ftserver JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
WHERE w.fdwhandler::regproc::text LIKE '%file_fdw_handler'
  AND EXISTS (SELECT FROM unnest(f.ftoptions) AS o WHERE o LIKE 'program=%')
"""
"""The programs whose output a foreign table of file_fdw is, also where it is a partition or an heir."""

PROBE = f"""
SELECT p.prosqlbody::text AS tree, {_COLUMNS_OF.format(object="p.oid", catalog="pg_proc", itself="0")} AS columns,
  ARRAY(SELECT d.refobjid::int8 FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid
    WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass
      AND (c.relkind <> 'r' OR c.relchecks > 0 OR c.relhassubclass OR EXISTS (SELECT FROM pg_index i
        WHERE i.indrelid = c.oid AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)))) AS behind
FROM pg_proc p WHERE p.proname = 'mcp_probe' AND p.pronamespace = pg_my_temp_schema()
"""  # noqa: S608  # of constants alone
"""The statement that was defined; `behind` are those of its relations of which `RELATIONS` has something to say."""

FUNCTIONS = f"""
SELECT p.oid::int8 AS oid, n.nspname::text AS schema, p.proname::text AS name, p.provolatile::text AS volatility,
  l.lanname::text AS language, l.lanpltrusted OR l.lanname IN ('c', 'internal', 'sql') AS trusted,
  CASE WHEN p.prosqlbody IS NOT NULL THEN 'tree' WHEN l.lanname IN ('c', 'internal') THEN 'compiled' ELSE 'text' END
    AS body,
  concat(' ', p.prosqlbody, ' ', p.proargdefaults, format(' :type %s :type %s :sortop %s ', a.aggtranstype::oid,
    a.aggmtranstype::oid, a.aggsortop::oid)) AS tree, p.xmin::text AS mark, a.aggfnoid IS NOT NULL AS aggregate,
  ARRAY(SELECT f::oid::text FROM unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn,
    a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]) AS f WHERE f::oid <> 0) AS parts,
  EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
    AS of_extension,
  {_COLUMNS_OF.format(object="p.oid", catalog="pg_proc", itself="0")} AS columns
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
WHERE p.oid = ANY ($1::oid[])
"""  # noqa: S608  # of constants alone

OPERATORS = """
WITH RECURSIVE same(oid) AS (
  SELECT unnest($1::oid[])
  UNION
  SELECT other FROM same JOIN pg_operator o ON o.oid = same.oid, unnest(ARRAY[o.oprcom, o.oprnegate]) AS other
  WHERE other <> 0)
SELECT oprcode::oid::int8 FROM pg_operator WHERE oid IN (SELECT oid FROM same) AND oprcode <> 0
UNION
SELECT p.amproc::oid::int8 FROM pg_amop o JOIN pg_amproc p ON p.amprocfamily = o.amopfamily
WHERE o.amopopr IN (SELECT oid FROM same)
"""
"""The functions of operators, of those that the planner may put in their place, and those that sort or hash by them."""

TYPES = """
WITH RECURSIVE inner_types(oid) AS (
  SELECT unnest($1::oid[])
  UNION
  SELECT found.oid FROM inner_types i JOIN pg_type t ON t.oid = i.oid, LATERAL (
    SELECT t.typelem AS oid UNION ALL SELECT t.typbasetype
    UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0
    UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)) found
  WHERE found.oid >= 16384)
SELECT 'check' AS kind, 0::int8 AS oid, concat(' ', conbin) AS tree FROM pg_constraint
WHERE contypid IN (SELECT oid FROM inner_types)
UNION
SELECT 'function', p.amproc::oid::int8, NULL FROM pg_opclass o JOIN pg_amproc p ON p.amprocfamily = o.opcfamily
WHERE o.opcintype IN (SELECT oid FROM inner_types) AND o.opcmethod IN (403, 405)
UNION
SELECT 'function', castfunc::int8, NULL FROM pg_cast
WHERE castsource IN (SELECT oid FROM inner_types) AND casttarget = 'json'::regtype AND castfunc <> 0
UNION
SELECT 'row', typrelid::int8, NULL FROM pg_type WHERE oid = ANY ($2::oid[]) AND typrelid <> 0
"""
"""What runs where a type is only named: the checks of domains in it, comparisons of whole rows, arrays and GREATEST,
its cast to json in to_json (B-tree and hash are the access methods 403 and 405); and the tables of whole rows."""

DOMAIN_CHECKS = "SELECT concat(' ', conbin) FROM pg_constraint WHERE contypid >= 16384"

MARKS = """
SELECT r.ev_class::int8 AS oid, r.xmin::text AS mark FROM pg_rewrite r
WHERE r.ev_class = ANY ($1::oid[]) AND r.ev_type = '1'
UNION ALL SELECT oid::int8, xmin::text FROM pg_proc WHERE oid = ANY ($1::oid[])
"""
