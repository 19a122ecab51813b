"""Identity: whose rights a call has in the database, so that its own row-level security is what holds."""

from dataclasses import dataclass

from .driver import Connection, is_known, state_of
from .refusals import Refusal

_SET = "SELECT pg_catalog.set_config($1, $2, true)"  # what SET LOCAL does, with values that are no part of the SQL
_NO_ROLE = "none"  # what SET ROLE takes for the role that connected


@dataclass(frozen=True, slots=True)
class Identity:
    """A role that the connection's own is a member of, and settings that policies read with `current_setting`."""

    role: str | None = None
    settings: tuple[tuple[str, str], ...] = ()

    def check(self) -> None:
        """Refuse what the database would take for something else."""
        if self.role is not None and (not self.role or self.role.casefold() == _NO_ROLE):
            raise Refusal(f"{self.role!r} is no role that anybody can be given here.")
        if any("\0" in text for text in (self.role or "", *(value for _, value in self.settings))):
            raise Refusal("A NUL character stands in what is known of you, and the database takes none.")


async def assume(connection: Connection, identity: Identity) -> None:
    """Take on an identity until the transaction ends; refuses a role that the connection's own is no member of."""
    for name, value in identity.settings:
        await connection.ask(_SET, name, value)
    if identity.role is None:
        return
    try:
        await connection.ask(_SET, "role", identity.role)
    except Exception as error:
        if not state_of(error) or not is_known(error):
            raise
        raise Refusal(
            f"The database does not let this server act for the role {identity.role!r}: it is not there, or the role "
            "that the server connects as is no member of it."
        ) from None
