"""A transport of one's own, over gRPC."""

from grpc_transport.transport import dial, listening

__all__ = ["dial", "listening"]
