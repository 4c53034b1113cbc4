"""Records → an LMDB, in the order in which they come."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import lmdb

MAX_KEY_BYTES = 511  # LMDB's own limit, as every build of it has
MAX_IMAGES = 10**8  # keys begin with eight digits
FIRST_MAP_BYTES = 16 * 2**20
BATCH_BYTES = 16 * 2**20  # written in one transaction
BATCH_RECORDS = 16_384  # the same for small ones


def record_key(index: int, path: str) -> bytes:
    """`%08d_path`, cut at a character's end to LMDB's 511 bytes; the number keeps it unique and in order."""
    key = b"%08d_%s" % (index, os.fsencode(path))
    if len(key) <= MAX_KEY_BYTES:
        return key
    end = MAX_KEY_BYTES
    while key[end] & 0xC0 == 0x80:  # the middle of a UTF-8 character
        end -= 1
    return key[:end]


class RecordWriter:
    """Puts records into an LMDB, behind those that it has, a batch a transaction; the map grows with them.

    `durable`: each transaction is on the disk when it is done, so that a power cut, too, leaves an LMDB with all
    records of some transactions and nothing else. `before_commit` is called ahead of each. Call `finish` when
    all are added, and `close` in any case. Raises what lmdb raises, and OSError; what was committed before stays.
    """

    def __init__(
        self, folder: Path, *, durable: bool = False, before_commit: Callable[[], None] | None = None
    ) -> None:
        # Otherwise no fsync at each commit: nothing is read before the whole folder has been synced and renamed.
        self._environment = lmdb.open(
            str(folder), map_size=FIRST_MAP_BYTES, sync=durable, metasync=durable, readahead=False
        )
        self._before_commit = before_commit
        self._batch: list[tuple[bytes, bytes]] = []
        self._batch_bytes = 0
        self.images = 0
        self.total_bytes = 0
        self.label_counts: Counter[int] = Counter()
        self.digest = hashlib.sha256()

    def count_in(self, key: bytes, datum: bytes, label: int) -> None:
        """Take a record into the counts and the digest: each of an LMDB that is gone on with, in order, first."""
        self.images += 1
        self.total_bytes += len(datum)
        self.label_counts[label] += 1
        self.digest.update(key)
        self.digest.update(datum)

    def add(self, path: str, label: int, datum: bytes) -> None:
        """Append a record: a serialised Datum that holds the picture of that path, with that label."""
        key = record_key(self.images, path)
        self._batch.append((key, datum))
        self._batch_bytes += len(datum)
        self.count_in(key, datum, label)
        if self._batch_bytes >= BATCH_BYTES or len(self._batch) >= BATCH_RECORDS:
            self.commit()

    def finish(self) -> None:
        """Write what is left, and make it all safe on the disk."""
        self.commit()
        self._environment.sync(True)

    def close(self) -> None:
        """Close the LMDB; what was added since the last commit is lost."""
        self._environment.close()

    def commit(self) -> None:
        """Write what was added since the last time."""
        if self._before_commit is not None:
            self._before_commit()
        while self._batch:
            try:
                with self._environment.begin(write=True) as transaction:
                    for key, datum in self._batch:
                        added = transaction.put(key, datum, append=True)
                        assert added, key
                self._batch.clear()
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])
        self._batch_bytes = 0
