"""What the role that the server connects as may do: whether it is fit to hand a model's SQL to."""

import json
from dataclasses import dataclass, field, replace

from .analysis import define
from .driver import OWN_PATH, Connection, is_known, state_of, text_of
from .policy import Policy, quote
from .refusals import Refusal

DANGEROUS = ("pg_execute_server_program", "pg_read_server_files", "pg_write_server_files")
OLDEST = 140000

_ASK_PATH = "SELECT pg_catalog.array_to_json(pg_catalog.current_schemas(false))"
_ASK = """
SELECT current_user AS role, current_database() AS database, current_setting('server_version') AS release,
  current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS recovering,
  has_database_privilege(current_database(), 'TEMP') AS temporary,
  ARRAY(SELECT rolname::text FROM pg_roles WHERE (rolsuper OR rolname = ANY ($1::text[]))
    AND (pg_has_role(current_user, oid, 'MEMBER') OR pg_has_role(session_user, oid, 'MEMBER'))
    ORDER BY rolname) AS powers,
  EXISTS (SELECT FROM pg_roles WHERE rolname IN (current_user, session_user) AND rolsuper) AS superuser,
  EXISTS (SELECT FROM pg_event_trigger WHERE evtenabled <> 'D' AND evtevent <> 'login') AS triggered
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a connection found out about itself. `path` are the schemas that a name without one is looked for in.

    `stopped` is what an event trigger of the database says against temporary objects.
    """

    role: str
    database: str
    release: str
    version: int
    recovering: bool
    temporary: bool
    powers: list[str]
    superuser: bool
    triggered: bool
    path: list[str] = field(default_factory=list[str])
    stopped: str = ""

    @property
    def can_probe(self) -> bool:
        """Whether a statement can be taken apart by the engine before it runs."""
        return self.temporary and not self.recovering and self.version >= OLDEST and not self.stopped

    def check(self, policy: Policy) -> None:
        """Refuse a role that must not be handed a model's SQL, with the SQL that makes a fit one."""
        if self.powers and not policy.allow_superuser:
            what = (
                "a superuser"
                if self.superuser
                else f"a member of {', '.join(self.powers)}, which may run programs or touch files on the server"
            )
            raise Refusal(
                f"The role {self.role} is {what}: READ ONLY does not hold it. Nothing is run. The operator makes a fit "
                f"role with:\n{self.fit_role()}\nand puts it into the DSN (or overrides with --allow-superuser)."
            )
        if policy.restricts and not self.can_probe:
            raise Refusal(f"{self.why_not_probe()} {self.instead(policy)}")

    def fit_role(self) -> str:
        """The SQL that makes a role that may read and nothing else."""
        return (
            "CREATE ROLE mcp_reader LOGIN PASSWORD 'choose one';\n"
            f"GRANT CONNECT, TEMPORARY ON DATABASE {quote(self.database)} TO mcp_reader;\n"
            "GRANT USAGE ON SCHEMA public TO mcp_reader;\n"
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO mcp_reader;\n"
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO mcp_reader;"
        )

    def why_not_probe(self) -> str:
        """Say why statements cannot be taken apart on this database."""
        if self.recovering:
            return "This database is a standby, where --deny-table and --mask-column cannot be held."
        if self.version < OLDEST:
            return f"PostgreSQL {self.release} is too old for --deny-table and --mask-column: they need 14 or later."
        if self.stopped:
            return (
                f"An event trigger of this database stops temporary objects ({self.stopped}), without which "
                "--deny-table and --mask-column cannot be held. Its owner can let it pass what is made in pg_temp."
            )
        return (
            f"The role {self.role} may not make temporary objects, without which --deny-table and --mask-column "
            f"cannot be held: GRANT TEMPORARY ON DATABASE {quote(self.database)} TO {quote(self.role)};"
        )

    def instead(self, policy: Policy) -> str:
        """The GRANTs that withhold the same in the database itself."""
        role = quote(self.role)
        revoke = "REVOKE SELECT ON"  # a text for the operator, run by nobody here
        lines = [f"{revoke} {table} FROM {role};" for table in sorted(policy.deny_tables)]
        for table in sorted({table for table, _ in policy.mask_columns}):
            masked = ", ".join(sorted(column for name, column in policy.mask_columns if name == table))
            lines.append(
                f"{revoke} {table} FROM {role}; GRANT SELECT (the columns other than {masked}) ON {table} TO {role};"
            )
        return "The same in the database itself, as owner of the tables:\n" + "\n".join(lines)


async def ask_standing(connection: Connection) -> Standing:
    """Ask a fresh connection what it may do; it is in a transaction afterwards."""
    await connection.execute("BEGIN TRANSACTION READ ONLY")
    (path,) = await connection.fetch(_ASK_PATH)
    await connection.execute(OWN_PATH)
    (found,) = await connection.fetch(_ASK, list(DANGEROUS))
    standing = Standing(**dict(found), path=json.loads(path[0]))
    if standing.triggered and standing.can_probe:
        return replace(standing, stopped=await _try_to_define(connection))
    return standing


async def _try_to_define(connection: Connection) -> str:
    """Define what nothing is wrong with, where an event trigger may forbid it; gives what it says against it."""
    await connection.execute("ROLLBACK; BEGIN TRANSACTION READ WRITE")
    try:
        connection.ahead(define("SELECT 1", 0))
        await connection.ask("SELECT 1")
    except Exception as error:
        if not state_of(error) or not is_known(error):
            raise
        return text_of(error)
    return ""
