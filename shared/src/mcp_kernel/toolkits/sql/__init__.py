"""The tools, prompts, resources and result shapes that every SQL server has, over a `Database` that each implements."""

from mcp_kernel.toolkits.sql.databases import Database, Databases, One
from mcp_kernel.toolkits.sql.seen import Seen, withhold
from mcp_kernel.toolkits.sql.shapes import (
    ColumnDescription,
    ForeignKey,
    Index,
    Plan,
    PlanNode,
    TableDescription,
    Tables,
    TableSummary,
    Trigger,
)
from mcp_kernel.toolkits.sql.surface import Dialect, install

__all__ = [
    "ColumnDescription",
    "Database",
    "Databases",
    "Dialect",
    "ForeignKey",
    "Index",
    "One",
    "Plan",
    "PlanNode",
    "Seen",
    "TableDescription",
    "TableSummary",
    "Tables",
    "Trigger",
    "install",
    "withhold",
]
