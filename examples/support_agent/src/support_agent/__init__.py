"""An agent that closes a support ticket: what a client of the Model Context Protocol looks like, from end to end.

Read `agent.py` first, then `steps.py`; the rest is what they stand on.
"""
