"""The compiled program of a statement, held against what is withheld.

The authorizer is never asked about the columns of USING and NATURAL JOIN, and on SQLite 3.40 a NATURAL FULL JOIN reads
a whole table without one question. The program that EXPLAIN shows has no such gap: a b-tree is read only through a
cursor, a cursor is opened only on a root page, a field is read only by an instruction that names its number.

Every instruction has to be known. A newer SQLite's new one refuses the statement, so that the check fails closed.
"""

from collections.abc import Callable, Iterable, Sequence

from .scope import Root, Scope

# Instructions whose operands are registers, constants, jumps and ephemeral cursors: they reach no b-tree of the file.
_HARMLESS = """Init Goto Gosub Return InitCoroutine EndCoroutine Yield Halt HaltIfNull Integer Int64 Real String
    String8 Null SoftNull Blob Variable Move Copy SCopy IntCopy ResultRow Concat Add Subtract Multiply Divide Remainder
    CollSeq BitAnd BitOr ShiftLeft ShiftRight BitNot AddImm MustBeInt RealAffinity Cast Affinity Permutation Compare
    Jump And Or Not IsTrue Once If IfNot IsNull NotNull ZeroOrNull Eq Ne Lt Le Gt Ge ElseEq MakeRecord ReadCookie
    Function PureFunc AggStep AggStep1 AggInverse AggValue AggFinal IfPos OffsetLimit IfNotZero DecrJumpZero RowSetAdd
    RowSetRead RowSetTest Trace Noop Explain Abortable Expire TableLock BeginSubrtn FilterAdd Filter ClrSubtype
    GetSubtype SetSubtype SeekScan ReleaseReg MemMax Sequence SequenceTest Pagecount MaxPgcnt
    OpenEphemeral OpenAutoindex OpenDup OpenPseudo SorterOpen SorterInsert SorterSort Sort SorterNext SorterData
    SorterCompare ResetSorter Insert IdxInsert Delete NewRowid VOpen VFilter VColumn VNext VInitIn"""
# Instructions on a cursor that move it or tell where it stands, without a look at a field.
_MOVING = """OpenRead ReopenIdx Rewind Last Next Prev Close NullRow ColumnsUsed Count DeferredSeek FinishSeek IfNullRow
    IfNotOpen SeekHit CursorLock CursorUnlock CursorHint IfSmaller IfSizeBetween IfEmpty SeekEnd"""
HARMLESS = frozenset(_HARMLESS.split() + _MOVING.split())
BY_ROWID = frozenset(["Rowid", "IdxRowid", "SeekRowid", "NotExists"])
BY_FIELDS = frozenset(["SeekLT", "SeekLE", "SeekGE", "SeekGT", "IdxLT", "IdxLE", "IdxGE", "IdxGT"])
BY_RECORD = frozenset(["Found", "NotFound", "NoConflict", "IfNoHope"])
OPENING = frozenset(("OpenRead", "ReopenIdx"))
_ROOT_IN_REGISTER = 0x10


class Breach(Exception):
    """A program that reaches what is withheld: 'table', 'column', or 'unknown' where it cannot be judged."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


Instruction = Sequence[object]  # addr, opcode, p1, p2, p3, p4, p5, comment


def check(program: Iterable[Instruction], scope: Scope, virtual: Callable[[], frozenset[str]]) -> None:
    """Raise Breach unless every instruction is known and reads only what is served.

    Args:
        program: The rows of EXPLAIN.
        scope: The root pages and their masked fields.
        virtual: Gives the addresses of the virtual tables that are served; asked only when one is opened.
    """
    instructions = list(program)
    cursors: dict[int, list[Root]] = {}
    for instruction in instructions:
        _open(instruction, scope, cursors, virtual)
    for instruction in instructions:
        _judge(instruction, cursors)


def _open(
    instruction: Instruction, scope: Scope, cursors: dict[int, list[Root]], virtual: Callable[[], frozenset[str]]
) -> None:
    _, opcode, cursor, page, schema, p4, p5, *_ = instruction
    if opcode == "VOpen" and str(p4) not in virtual():
        raise Breach("table")
    if opcode not in OPENING:
        return
    if int(str(p5)) & _ROOT_IN_REGISTER:
        raise Breach("unknown")
    if schema == 1:
        return  # the temporary schema, in which nothing can be made
    root = scope.roots.get(int(str(page))) if schema == 0 else None
    if root is None:
        raise Breach("unknown")
    if root.denied:
        raise Breach("table")
    cursors.setdefault(int(str(cursor)), []).append(root)


def _judge(instruction: Instruction, cursors: dict[int, list[Root]]) -> None:
    _, opcode, p1, p2, p3, p4, *_ = instruction
    name = str(opcode)
    held = cursors.get(int(str(p1)), [])
    if name == "Column":
        touched = {int(str(p2))}
    elif name == "IsType":
        touched = {int(str(p3))}
    elif name in BY_ROWID:
        touched = {-1}
    elif name in BY_FIELDS:
        touched = _count_fields(p4)
    elif name in BY_RECORD:
        touched = _count_fields(p4) - {-1} or None  # no number: the whole record, ready made
    elif name == "RowData":
        touched = None  # the whole record
    elif name in HARMLESS or (name == "Transaction" and p2 == 0):
        return
    elif name == "JournalMode" and int(str(p3)) < 0:
        return  # asks for the mode, sets none
    else:
        raise Breach("unknown")
    if any(root.fields if touched is None else root.fields & touched for root in held):
        raise Breach("column")


def _count_fields(p4: object) -> set[int]:
    """Give the fields that a seek compares: the first n of an index, or the rowid of a table, where n is not said."""
    text = str(p4)
    return set(range(int(text))) if text.isdigit() and text != "0" else {-1}
