"""Records → a new LMDB, in the order in which they come."""

import hashlib
import os
from collections import Counter
from pathlib import Path

import lmdb

from batchbrew.dataset.sources import Entry

MAX_KEY_BYTES = 511  # LMDB's own limit, as every build of it has
MAX_IMAGES = 10**8  # keys begin with eight digits
FIRST_MAP_BYTES = 16 * 2**20
BATCH_BYTES = 32 * 2**20  # written in one transaction


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
    """Puts records into a new LMDB, a batch a transaction; the map grows with them.

    Call `finish` when all are added, and `close` in any case.
    """

    def __init__(self, folder: Path) -> None:
        # No fsync at each commit: nothing is read before the whole folder has been synced and renamed.
        self._environment = lmdb.open(str(folder), map_size=FIRST_MAP_BYTES, sync=False, metasync=False)
        self._batch: list[tuple[bytes, bytes]] = []
        self._batch_bytes = 0
        self.images = 0
        self.total_bytes = 0
        self.label_counts: Counter[int] = Counter()
        self.digest = hashlib.sha256()

    def add(self, entry: Entry, datum: bytes) -> None:
        """Append a record: a serialised Datum that holds the image of `entry`."""
        key = record_key(self.images, entry.path)
        self._batch.append((key, datum))
        self._batch_bytes += len(datum)
        self.images += 1
        self.total_bytes += len(datum)
        self.label_counts[entry.label] += 1
        self.digest.update(key)
        self.digest.update(datum)
        if self._batch_bytes >= BATCH_BYTES:
            self._commit()

    def finish(self) -> None:
        """Write what is left, and make it all safe on the disk."""
        self._commit()
        self._environment.sync(True)

    def close(self) -> None:
        """Close the LMDB."""
        self._environment.close()

    def _commit(self) -> None:
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    for key, datum in self._batch:
                        added = transaction.put(key, datum, append=True)
                        assert added, key
                break
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])
        self._batch.clear()
        self._batch_bytes = 0
