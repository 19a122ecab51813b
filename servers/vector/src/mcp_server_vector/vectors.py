"""Chroma, called from threads: collections, chunks, nearest neighbours. Never an embedding function of Chroma's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import quote, urlsplit

from .chunks import COPY_OF, DIMENSION, EMBEDDER, STANDS_FOR, Chunk, Collection
from .refusals import Missing, Refusal, Stale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

PAGE: Final = 1000
REMOTE: Final = "remote"
"""The stamp of every database behind a URL."""

_TIMEOUT: Final = 60.0

_INDEX: Final = {"space": "cosine", "ef_search": 200, "ef_construction": 200, "sync_threshold": 1000}


class Stamp(NamedTuple):
    """What is in a database: `content` changes with every write of chunks or collections, `saved` when Chroma saves
    its vector indexes to files."""

    content: str
    saved: str = ""


Glance: TypeAlias = tuple[int, int, int]


class Chroma:
    """A Chroma database, in a directory or behind a URL."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self._folder = folder
        self._url = url
        self._client: Any = None
        self._file = folder / "chroma.sqlite3"

    # --- opening ---

    def open(self) -> None:
        """Import Chroma and open the database; raises `Refusal`."""
        import chromadb
        from chromadb.api.shared_system_client import SharedSystemClient
        from chromadb.config import Settings

        fixed: dict[str, Any] = {
            "_env_file": None,  # a .env file in the current directory is nobody's word here
            "anonymized_telemetry": False,
            "chroma_otel_collection_endpoint": "",
            "allow_reset": False,
            "migrations": "apply",
        }
        try:
            if self._url is None:
                settings = Settings(**fixed, chroma_api_impl="chromadb.api.rust.RustBindingsAPI")
                self._client = chromadb.PersistentClient(str(self._folder), settings)
            else:
                self._client = _connect(chromadb, Settings(**fixed), self._url)
        except Exception as error:
            SharedSystemClient.clear_system_cache()  # it would give out again what is half open
            where = self._url or str(self._folder)
            raise Refusal(f"Chroma could not open {where}: {_first_line(error)}. Check it, then call again.") from error

    @property
    def is_open(self) -> bool:
        """Whether there is a database to be asked."""
        return self._client is not None

    def close(self) -> None:
        """Let go of the database."""
        client, self._client = self._client, None
        if client is None:
            return
        sessions = [] if self._url is None else _sessions(client)
        client.close()
        for session in sessions:  # Chroma leaves them to the garbage collector
            session.close()

    def reopen(self) -> None:
        """Read the database anew: another process has written to it, and what is in memory is old."""
        self.close()
        self.open()

    def glance(self) -> Glance | None:
        """Which file the database is, its size and time, which change with every write, and at times without one."""
        try:
            stat = None if self._url is not None else self._file.stat()
        except FileNotFoundError:
            return None
        return None if stat is None else (stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def is_blank(self) -> bool:
        """Whether the file of the database is not there, or holds nothing."""
        if self._url is not None:
            return False
        found = self.glance()
        return found is None or found[1] == 0

    def stamp(self) -> Stamp:
        """What is in the database, whoever wrote it; blocks.

        This reads the file with Python's SQLite, beside the one that is built into Chroma. Two of them in one process
        do not see each other's locks, and drop them (sqlite.org/howtocorrupt.html, 2.2.1): hence only while no call to
        Chroma is under way in this process, and nobody writes.
        """
        if self._url is not None:
            return Stamp(REMOTE)
        try:
            with closing(sqlite3.connect(f"file:{quote(str(self._file))}?mode=ro", uri=True, timeout=5)) as raw:
                (last,) = raw.execute("SELECT max(seq_id) FROM embeddings_queue").fetchone()
                names = raw.execute("SELECT id, name FROM collections ORDER BY id").fetchall()
                saved = raw.execute("SELECT segment_id, seq_id FROM max_seq_id ORDER BY segment_id").fetchall()
        except sqlite3.Error:  # a later Chroma may keep its log elsewhere: then every change counts
            return Stamp(_digest(self.glance()))
        return Stamp(f"{last}-{_digest(names)}", _digest(saved))

    # --- collections ---

    def collections(self) -> list[Collection]:
        """All of them, by name, but for copies that are not finished."""
        return [each for each in self._all() if each.stands_for is None]

    def copies(self) -> list[Collection]:
        """The copies that are not finished."""
        return [each for each in self._all() if each.stands_for is not None]

    def _all(self) -> list[Collection]:
        found: list[Collection] = []
        while True:
            with self._clearly():
                page = self._client.list_collections(limit=PAGE, offset=len(found))
            found += [_describe(each) for each in page]
            if len(page) < PAGE:
                return sorted(found, key=lambda each: each.name)

    def find(self, name: str) -> Collection | None:
        """A collection, if there is one of the name."""
        from chromadb.errors import NotFoundError

        with self._clearly():
            try:
                found = _describe(self._client.get_collection(name, embedding_function=None))
            except NotFoundError:
                return None
        return found if found.stands_for is None else None

    def create(self, name: str, embedder: str, dimension: int) -> Collection:
        """Make a collection that remembers how it is embedded."""
        with self._clearly(writing=True):
            made = self._client.create_collection(
                name,
                embedding_function=None,
                configuration={"hnsw": dict(_INDEX)},
                metadata={EMBEDDER: embedder, DIMENSION: dimension},
                get_or_create=True,
            )
        return _describe(made)

    def drop(self, collection: Collection) -> None:
        """Delete a collection with all that is in it; its files stay."""
        with self._clearly(writing=True):
            self._client.delete_collection(collection.name)

    # --- copies, see `compaction` ---

    def begin_copy(self, collection: Collection) -> Collection | None:
        """Make an empty collection like another; None where the other is not of this server's making."""
        model = collection.handle.get_model()
        metadata: Mapping[str, Any] = model.metadata or {}
        configuration: Mapping[str, Any] = model.configuration_json or {}
        index: Mapping[str, Any] | None = configuration.get("hnsw")
        if not index or EMBEDDER not in metadata or any(key.startswith("hnsw:") for key in metadata):
            return None
        with self._clearly(writing=True):
            made = self._client.create_collection(
                f"mcp-copy-{collection.uuid}",
                embedding_function=None,
                configuration={"hnsw": dict(index)},
                metadata={**metadata, STANDS_FOR: collection.name},
            )
        return _describe(made)

    def copy(self, source: Collection, target: Collection, limit: int, offset: int) -> int:
        """Copy so many chunks, as they are; returns how many there were."""
        include = ["documents", "metadatas", "embeddings", "uris"]
        with self._clearly(writing=True):
            page = source.handle.get(limit=limit, offset=offset, include=include)
            if page["ids"]:
                given = {name: page[name] for name in include if name != "uris" or any(page[name] or ())}
                target.handle.add(ids=page["ids"], **given)
        return len(page["ids"])

    def call_whole(self, copy: Collection, collection: Collection) -> Collection:
        """Have a copy say that it is one of all chunks of a collection."""
        metadata: Mapping[str, Any] = copy.handle.get_model().metadata or {}
        with self._clearly(writing=True):
            copy.handle.modify(metadata={**metadata, COPY_OF: collection.uuid})
        return replace(copy, copy_of=collection.uuid)

    def finish_copy(self, copy: Collection) -> None:
        """Give a copy the name that it stands for."""
        metadata: Mapping[str, Any] = copy.handle.get_model().metadata or {}
        rest = {key: value for key, value in metadata.items() if key not in (STANDS_FOR, COPY_OF)}
        with self._clearly(writing=True):
            copy.handle.modify(name=copy.stands_for, metadata=rest)

    # --- chunks ---

    def replace(self, collection: Collection, chunks: Sequence[Chunk], vectors: Vectors, old: Sequence[str]) -> None:
        """Delete chunks and write others, which may have their ids.

        Written over, a vector is moved within Chroma's graph, and now and then it, or one that is written beside it, is
        left where no search comes by (docs/decisions/0040-no-vector-is-moved.md).
        """
        if old:
            self.delete(collection, old)
        with self._clearly(writing=True):
            collection.handle.upsert(
                ids=[chunk.id for chunk in chunks],
                embeddings=vectors,
                documents=[chunk.text for chunk in chunks],
                metadatas=[dict(chunk.metadata) for chunk in chunks],
            )

    def delete(self, collection: Collection, ids: Sequence[str]) -> None:
        """Delete chunks, a page of them at most."""
        with self._clearly(writing=True):
            collection.handle.delete(ids=list(ids))

    def count(self, collection: Collection) -> int:
        """How many chunks there are. The first call that touches a collection loads its vectors, and may save them."""
        with self._clearly():
            return int(collection.handle.count())

    def get(self, collection: Collection, ids: Sequence[str], **conditions: object) -> list[Chunk]:
        """Chunks by their ids, in that order; those that are not there, or do not meet the conditions, are left out."""
        found: dict[str, Chunk] = {}
        for start in range(0, len(ids), PAGE):
            with self._clearly():
                page = collection.handle.get(ids=list(ids[start : start + PAGE]), **_given(conditions))
            found.update({chunk.id: chunk for chunk in _read(page)})
        return [found[each] for each in ids if each in found]

    def select(self, collection: Collection, limit: int | None, offset: int = 0, **conditions: object) -> list[Chunk]:
        """Chunks that meet conditions; `include=["metadatas"]` leaves out their texts."""
        with self._clearly():
            return _read(collection.handle.get(limit=limit, offset=offset, **_given(conditions)))

    def passing(self, collection: Collection, **conditions: object) -> list[str]:
        """The ids of the chunks that meet conditions, all of them."""
        with self._clearly():
            return [str(each) for each in collection.handle.get(include=[], **_given(conditions))["ids"]]

    def nearest(
        self, collection: Collection, vector: Sequence[float], limit: int, **conditions: object
    ) -> dict[str, float]:
        """The ids of the nearest chunks with their distances."""
        given = {"n_results": limit, "include": ["distances"], **_given(conditions)}
        with self._clearly():
            page = collection.handle.query(query_embeddings=[vector], **given)
        return dict(zip(map(str, page["ids"][0]), map(float, page["distances"][0]), strict=True))

    @contextmanager
    def _clearly(self, *, writing: bool = False) -> Generator[None]:
        """Turn what Chroma says of bad input, and of trouble, into a refusal."""
        from chromadb.errors import ChromaError, InvalidArgumentError, NotFoundError

        try:
            yield
        except Refusal:
            raise
        except NotFoundError as error:
            raise Missing("The collection was deleted meanwhile: call list_collections.") from error
        except (ValueError, TypeError, InvalidArgumentError) as error:
            raise Refusal(f"Chroma refused this: {_first_line(error)}") from error
        except ChromaError as error:
            if "Error finding id" in str(error):  # it has the text and not the vector, which another process added
                raise Stale("Another process is writing to this collection: call again.") from error
            advice = (
                "See to its disk, then call again; what was acknowledged is kept."
                if writing
                else "Simplify the filters, if there are any; if there are none, see to its disk."
            )
            raise Refusal(f"Chroma failed: {_first_line(error)}. {advice}") from error
        except Exception as error:
            if self._url is None:
                raise
            # What its HTTP client raises, and a bare Exception for an answer that is not Chroma's.
            raise Refusal(
                f"The Chroma server at {self._url} does not answer as it should "
                f"({_first_line(error) or type(error).__name__}): see that it runs, then call again."
            ) from error


def _connect(chromadb: Any, settings: Any, url: str) -> Any:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    client = chromadb.HttpClient(
        host=parts.hostname or "127.0.0.1", port=parts.port or (443 if secure else 8000), ssl=secure, settings=settings
    )
    for session in _sessions(client):
        session.timeout = _TIMEOUT  # Chroma sets none
    return client


def _sessions(client: Any) -> list[Any]:
    """The HTTP clients that a client of Chroma holds."""
    holders = [getattr(each, "_server", None) for each in (client, getattr(client, "_admin_client", None))]
    found = [getattr(each, "_session", None) for each in holders]
    return [each for each in dict.fromkeys(found) if each is not None]


def _describe(handle: Any) -> Collection:
    model = handle.get_model()
    # Chroma builds what a stored schema names - a model to download, code to import - before it writes. Without the
    # schema it does not; vectors are made here and nowhere else.
    model.serialized_schema = None
    configuration: Mapping[str, Any] = model.configuration_json or {}
    index: Mapping[str, Any] = configuration.get("hnsw") or configuration.get("spann") or {}
    metadata: Mapping[str, Any] = model.metadata or {}
    embedder, dimension = metadata.get(EMBEDDER), metadata.get(DIMENSION) or model.dimension
    if not isinstance(embedder, str):
        known: Mapping[str, Any] = configuration.get("embedding_function") or {}
        embedder = "onnx:all-MiniLM-L6-v2" if known.get("name") in ("default", "onnx_mini_lm_l6_v2") else None
    return Collection(
        name=str(model.name),
        uuid=str(model.id),
        embedder=embedder,
        dimension=dimension if isinstance(dimension, int) else None,
        distance=str(index.get("space") or metadata.get("hnsw:space") or "l2"),
        handle=handle,
        stands_for=_text(metadata.get(STANDS_FOR)),
        copy_of=_text(metadata.get(COPY_OF)),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _read(page: Mapping[str, Any]) -> list[Chunk]:
    rows = zip(page["ids"], page["documents"] or [""] * len(page["ids"]), page["metadatas"], strict=True)
    return [Chunk(str(each), text or "", metadata or {}) for each, text, metadata in rows]


def _given(conditions: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in conditions.items() if value is not None}


def _digest(rows: object) -> str:
    return sha256(repr(rows).encode()).hexdigest()[:16]


def _first_line(error: BaseException) -> str:
    with suppress(Exception):
        return (str(error).splitlines() or [type(error).__name__])[0][:300]
    return type(error).__name__
