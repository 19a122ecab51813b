"""A transport of one's own, over WebSocket."""

from websocket_transport.transport import dial, listening, serve

__all__ = ["dial", "listening", "serve"]
