"""Which functions may stand in a statement: those that compute or look, not those that do.

A READ ONLY transaction holds tables, not files, processes, other sessions, sequences of locks or remote servers.
Functions are known by their OID, so that neither a name in another schema nor an operator, a cast or an aggregate hides
one. Of PostgreSQL's own, what is not VOLATILE computes (but for a few that read tables by name), and what is VOLATILE
must be in a list here: a function that a future release adds is refused until somebody has looked at it.
"""

import re
from dataclasses import dataclass

from .policy import Policy, fold

FIRST_USER_OID = 16384

HARMLESS = re.compile(
    r"""random(_normal)? | setseed | clock_timestamp | timeofday | gen_random_uuid | uuidv[47] | array_(sample|shuffle)
    | bernoulli | system | currval | lastval
    | pg_(database|tablespace|relation|table|indexes|total_relation)_size | pg_sequence_last_value
    | pg_partition_(tree|ancestors) | pg_is_in_recovery | pg_(blocking|safe_snapshot_blocking)_pids
    | pg_lock_status | pg_prepared_xact | pg_stat_get_\w+ | pg_stat_have_stats | pg_notification_queue_usage
    | pg_current_wal_\w+ | pg_last_\w+ | pg_xact_status | txid_status | pg_xact_commit_timestamp(_origin)?
    | pg_control_\w+ | pg_get_wait_events | pg_get_wal_\w+ | pg_is_wal_replay_paused | pg_jit_available
    | pg_collation_actual_version | pg_database_collation_actual_version | pg_show_replication_origin_status
    | pg_get_backend_memory_contexts | pg_get_shmem_allocations(_numa)? | amvalidate""",
    re.VERBOSE,
)
"""VOLATILE functions of PostgreSQL that change nothing and reach nothing outside."""

READS_BY_NAME = re.compile(
    r"(query|table|schema|database|cursor)_to_xml(schema|_and_xmlschema)? | ts_stat | ts_rewrite | currtid2", re.VERBOSE
)
_TS_REWRITE_OF_QUERIES = 3684  # the OID of ts_rewrite(tsquery, tsquery, tsquery), which computes; the other runs SQL
"""Functions that take a table's name, or SQL, as text, and run it where no analysis sees it."""

EXTENSION_HARMLESS = re.compile(
    r"""uuid_generate_v\w+ | gen_random_(bytes|uuid) | gen_salt | pgp_(pub|sym)_encrypt(_bytea)? | normal_rand
    | pg_stat_statements(_info)? | pg_buffercache_\w+ | pg_freespace | pg_relpages | pgstat\w+ | pgrowlocks | ssl_\w+
    | system_(rows|time) | \w*(lexize|_init) | int_agg_\w+ | _?st_\w+ | postgis_\w+ | pgis_\w+ | \w+_(gist|brin)_\w+
    | dblink_get_connections | time_bucket\w*""",
    re.VERBOSE,
)
"""VOLATILE functions of extensions, compiled, that change nothing and reach nothing outside."""

EXTENSION_REACHING = re.compile(
    r"""dblink(?!_get_connections$)\w* | crosstab\w* | connectby | xpath_table | xslt_process | http\w* | net\w*
    | pg_file_\w+ | pg_logdir_ls | lo_\w+ | get_raw_page | pg_get_wal_\w+
    | _?st_mapalgebra\w* | _?st_valuecount | st_fromflatgeobuftotable | topogeo_add\w+ | st_setbandpath
    | st_fromgdalraster | _?pgr_\w+""",
    re.VERBOSE,
)
"""Functions of extensions that open connections or files, or run text as SQL, whatever they are declared as."""

EXTENSION_READS_BY_NAME = re.compile(
    r"_postgis_\w+ | st_estimated_?extent | getfacecontainingpoint | standardize_address", re.VERBOSE
)
"""Functions of extensions that tell something of the rows of a table whose name they take as a value."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that stands in a statement. `body` is 'compiled', 'tree' (parsed SQL) or 'text'.

    `volatility` is PostgreSQL's letter: i(mmutable), s(table) or v(olatile).
    """

    oid: int
    schema: str
    name: str
    volatility: str
    language: str
    trusted: bool
    body: str
    of_extension: bool = False

    @property
    def volatile(self) -> bool:
        """Whether it is declared as one that may have effects."""
        return self.volatility == "v"

    @property
    def is_own(self) -> bool:
        """Whether PostgreSQL itself brings it."""
        return self.oid < FIRST_USER_OID

    def __str__(self) -> str:
        return self.name if self.schema == "pg_catalog" else f"{self.schema}.{self.name}"


def refuse_function(function: Function, policy: Policy, ahead: bool = False) -> str | None:
    """Say why a function may not be called, or None.

    One that is only computed ahead, of an index, is IMMUTABLE: its text is taken at its word.
    """
    allowed = {fold(name) for name in policy.allow_functions}
    if fold(function.name) in allowed or fold(f"{function.schema}.{function.name}") in allowed:
        return None
    if function.is_own:
        return _refuse_own(function)
    if EXTENSION_REACHING.fullmatch(function.name) and (function.of_extension or function.body == "compiled"):
        return "reaches beyond this database, or runs a text as SQL"
    if policy.restricts and function.of_extension and EXTENSION_READS_BY_NAME.fullmatch(function.name):
        return "tells of the rows of a table by its name, while tables or columns are withheld here"
    if function.body == "compiled":
        return _refuse_compiled(function)
    if not function.trusted:
        return f"is written in {function.language}, an untrusted language that nothing fences"
    pure = function.volatility == "i" and (ahead or function.of_extension)
    if policy.restricts and function.body == "text" and not pure:
        return (
            f"is written in {function.language} as text, of which nobody can say what it reads, while tables or "
            "columns are withheld here"
        )
    return None


def _refuse_own(function: Function) -> str | None:
    if READS_BY_NAME.fullmatch(function.name) and function.oid != _TS_REWRITE_OF_QUERIES:
        return "runs a text as SQL or reads a table by name: write the query itself"
    if function.volatile and not HARMLESS.fullmatch(function.name):
        return "has effects outside the statement, or waits, which is not reading"
    return None


def _refuse_compiled(function: Function) -> str | None:
    if function.volatile and not EXTENSION_HARMLESS.fullmatch(function.name):
        return "is compiled and declared VOLATILE, and not known to be harmless"
    return None


NAMED_EFFECTS = frozenset(
    [
        "lo_close",
        "lo_creat",
        "lo_create",
        "lo_export",
        "lo_from_bytea",
        "lo_get",
        "lo_import",
        "lo_lseek",
        "lo_open",
        "lo_put",
        "lo_truncate",
        "lo_unlink",
        "loread",
        "lowrite",
        "nextval",
        "setval",
        "set_config",
        "pg_advisory_lock",
        "pg_advisory_lock_shared",
        "pg_advisory_xact_lock",
        "pg_advisory_xact_lock_shared",
        "pg_try_advisory_lock",
        "pg_try_advisory_lock_shared",
        "pg_try_advisory_xact_lock",
        "pg_try_advisory_xact_lock_shared",
        "pg_backup_start",
        "pg_backup_stop",
        "pg_cancel_backend",
        "pg_terminate_backend",
        "pg_create_logical_replication_slot",
        "pg_create_physical_replication_slot",
        "pg_create_restore_point",
        "pg_drop_replication_slot",
        "pg_export_snapshot",
        "pg_import_system_collations",
        "pg_log_backend_memory_contexts",
        "pg_logical_emit_message",
        "pg_ls_dir",
        "pg_ls_logdir",
        "pg_ls_waldir",
        "pg_ls_tmpdir",
        "pg_notify",
        "pg_promote",
        "pg_read_binary_file",
        "pg_read_file",
        "pg_reload_conf",
        "pg_rotate_logfile",
        "pg_sleep",
        "pg_sleep_for",
        "pg_sleep_until",
        "pg_stat_file",
        "pg_stat_reset",
        "pg_switch_wal",
        "pg_wal_replay_pause",
        "pg_wal_replay_resume",
        "query_to_xml",
        "query_to_xml_and_xmlschema",
        "query_to_xmlschema",
        "table_to_xml",
        "cursor_to_xml",
        "schema_to_xml",
        "database_to_xml",
        "ts_stat",
        "ts_rewrite",
        "dblink",
        "dblink_exec",
        "dblink_connect",
        "dblink_send_query",
        "crosstab",
        "connectby",
        "xpath_table",
    ]
)
"""Names of functions with effects, for where the engine cannot take a statement apart: weaker than by OID."""
