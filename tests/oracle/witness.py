"""A whole conversation, judged: who answers what, and in which revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mcp_types import PROTOCOL_VERSION_META_KEY
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION
from tests.oracle.verdict import BATCHES, Json, Sender, decode, judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    Key = tuple[type, object]


@dataclass(frozen=True, slots=True)
class Seen:
    sender: Sender
    message: object
    malformed: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    method: str
    revision: str
    token: object


class Witness:
    """Stands between a client and a server, on one pipe or one HTTP session, and judges all that passes.

    Both eras may share the pipe. A message that fits no request or no revision is refused as well.
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.session: str | None = None
        """The revision that the handshake agreed on."""
        self._asked: dict[Sender, dict[Key, _Asked]] = {"client": {}, "server": {}}
        self._unreadable: dict[Sender, int] = {"client": 0, "server": 0}

    def see(
        self,
        sender: Sender,
        message: bytes | str | Mapping[str, object] | list[Any],
        *,
        malformed: bool = False,
    ) -> object:
        """Judge one message on its way, or a batch.

        Args:
            sender: Who sent it.
            message: As it travels, or decoded.
            malformed: It is broken on purpose, so it is not judged; what it is answered with still is.

        Returns:
            The decoded message; of a malformed one, None where it is no JSON.
        """
        if malformed:
            return self._see_malformed(sender, message)
        decoded: object = decode(message)
        self.seen.append(Seen(sender, decoded, malformed=False))
        if not isinstance(decoded, list):
            self._judge(sender, decoded)
            return decoded
        batch = cast("list[object]", decoded)
        # Before the handshake there is no session, so initialize never travels in a batch.
        assert self.session == BATCHES, f"a batch in {self.session or 'no session'}:\n{decoded!r}"
        assert batch, "an empty batch"
        for item in batch:
            self._judge(sender, item)
        return batch

    def unanswered(self, sender: Sender = "client") -> list[str]:
        """The methods of this sender's requests that have no response yet."""
        return [asked.method for asked in self._asked[sender].values()]

    def _see_malformed(self, sender: Sender, message: object) -> object:
        try:
            decoded = decode(message)
        except AssertionError:
            decoded = None
        self.seen.append(Seen(sender, message if decoded is None else decoded, malformed=True))
        items = cast("list[object]", decoded) if isinstance(decoded, list) else [decoded]
        self._unreadable[sender] += max(len(items), 1)
        asker: Sender = "client" if sender == "server" else "server"
        for item in items:
            if not isinstance(item, dict) or not (key := _key(cast("Json", item).get("id"))):
                continue
            if "method" not in item and ("result" in item or "error" in item):
                self._asked[asker].pop(key, None)
            else:
                self._remember(sender, key, cast("Json", item))
        return cast("object", decoded)

    def _judge(self, sender: Sender, message: object) -> None:
        if not isinstance(message, dict):
            judge(message, revision=LATEST_HANDSHAKE_VERSION, sender=sender)
            return
        body = cast("Json", message)
        if "method" not in body:
            self._judge_response(sender, body)
        elif "id" in body:
            self._judge_request(sender, body)
        else:
            self._judge_notification(sender, body)

    def _judge_request(self, sender: Sender, message: Json) -> None:
        revision = self._revision_of(message)
        assert sender == "client" or self.session, f"a server request outside a session:\n{message!r}"
        judge(message, revision=revision, sender=sender)
        key = _key(message["id"])
        assert key is not None
        assert key not in self._asked[sender], f"the id {message['id']!r} is in flight already:\n{message!r}"
        self._remember(sender, key, message)

    def _judge_response(self, sender: Sender, message: Json) -> None:
        asker: Sender = "client" if sender == "server" else "server"
        if "id" not in message and "error" in message:
            assert self._unreadable[asker], f"an error without an id, but all was readable:\n{message!r}"
            self._unreadable[asker] -= 1
            judge(message, revision=self.session or LATEST_HANDSHAKE_VERSION, sender=sender)
            return
        asked = self._asked[asker].pop(_key(message.get("id")) or (str, None), None)
        if asked is None:
            raise AssertionError(f"the {sender} answers a request that nobody sent:\n{message!r}")
        revision = asked.revision
        if asked.method == "initialize" and isinstance(result := message.get("result"), dict):
            revision = str(cast("Json", result).get("protocolVersion"))
            assert revision in HANDSHAKE_PROTOCOL_VERSIONS, f"no handshake leads to it:\n{message!r}"
            self.session = revision
        judge(message, revision=revision, sender=sender, answers=asked.method)

    def _judge_notification(self, sender: Sender, message: Json) -> None:
        """It may say which request it belongs to; any other may be of either era on a shared pipe."""
        refusal: AssertionError | None = None
        for revision in self._revisions_of_notification(sender, message):
            try:
                judge(message, revision=revision, sender=sender)
            except AssertionError as error:
                refusal = refusal or error
            else:
                return
        raise refusal or AssertionError(message)

    def _revisions_of_notification(self, sender: Sender, message: Json) -> list[str]:
        params = message.get("params")
        params = cast("Json", params) if isinstance(params, dict) else {}
        meta = params.get("_meta")
        if isinstance(meta, dict) and "io.modelcontextprotocol/subscriptionId" in meta:
            return [LATEST_MODERN_VERSION]
        # Who cancels does so with a request of its own, but for a server that ends a modern listen stream.
        other: Sender = "client" if sender == "server" else "server"
        in_flight = [*self._asked[sender].items(), *self._asked[other].items()]
        if message["method"] == "notifications/cancelled":
            cancelled = _key(params.get("requestId"))
            found = [asked.revision for key, asked in in_flight if key == cancelled]
        elif message["method"] == "notifications/progress":
            token = params.get("progressToken")
            found = [asked.revision for asked in self._asked[other].values() if asked.token == token]
            assert found, f"progress of nothing in flight:\n{message!r}"
        else:
            found = []
        return found or [self.session or LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION]

    def _remember(self, sender: Sender, key: Key, message: Json) -> None:
        meta = _meta(message)
        method = str(message.get("method"))
        self._asked[sender][key] = _Asked(method, self._revision_of(message), meta.get("progressToken"))

    def _revision_of(self, message: Json) -> str:
        """Of a request. The key alone tells the modern era: an unknown revision under it, too."""
        if PROTOCOL_VERSION_META_KEY in _meta(message):
            return LATEST_MODERN_VERSION
        params = message.get("params")
        if message.get("method") == "initialize" and isinstance(params, dict):
            wanted = cast("Json", params).get("protocolVersion")
            return wanted if wanted in HANDSHAKE_PROTOCOL_VERSIONS else LATEST_HANDSHAKE_VERSION
        return self.session or LATEST_HANDSHAKE_VERSION


def _meta(message: Json) -> Json:
    params = message.get("params")
    meta = cast("Json", params).get("_meta") if isinstance(params, dict) else None
    return cast("Json", meta) if isinstance(meta, dict) else {}


def _key(identifier: object) -> Key | None:
    """Ids of both JSON types live side by side: 1 is not "1". And true is none."""
    return (type(identifier), identifier) if type(identifier) in (int, str) else None
