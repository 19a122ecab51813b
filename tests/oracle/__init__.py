"""The tests' judge of messages, and not ours: the models of PyPI's `mcp-types` and the published schemas.

validate(message, revision="2025-11-25", sender="server", answers="tools/list")   # one message

witness = Witness()                          # or a whole conversation: who answers what, in which revision
witness.see("client", line)                  # raises AssertionError with the message and the reasons
witness.see("client", garbage, malformed=True)   # broken on purpose: only its answer is judged
witness.see("server", answer)
"""

from tests.oracle.schemas import SPEC, why_no_schemas
from tests.oracle.verdict import Sender, decode, validate
from tests.oracle.witness import Witness

__all__ = ["SPEC", "Sender", "Witness", "decode", "validate", "why_no_schemas"]
