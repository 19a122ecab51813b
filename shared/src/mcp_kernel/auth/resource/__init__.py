"""The server's side of authorisation: who asks, by an API key or by a token that somebody else issued.

`document.py` reads the file of `--auth`, `gate.py` stands before the endpoint. The modules beside this package are the
client's side.
"""
