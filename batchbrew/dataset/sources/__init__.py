"""What goes into a data set: images with their labels, from folders, lists, tables and archives."""

from batchbrew.dataset.sources.archives import open_archive
from batchbrew.dataset.sources.entry import MAX_LABEL, Entry, EntryTable
from batchbrew.dataset.sources.files import FilesSource
from batchbrew.dataset.sources.flat import open_flat
from batchbrew.dataset.sources.folder import (
    IMAGE_EXTENSIONS,
    FolderScan,
    known_extensions,
    open_folder,
    scan_folder,
)
from batchbrew.dataset.sources.ilsvrc import open_ilsvrc
from batchbrew.dataset.sources.lists import open_list, read_list
from batchbrew.dataset.sources.order import permutation, shuffled
from batchbrew.dataset.sources.source import Source
from batchbrew.dataset.sources.tables import open_csv
from batchbrew.dataset.sources.tar_source import TarSource

__all__ = [
    "IMAGE_EXTENSIONS",
    "MAX_LABEL",
    "Entry",
    "EntryTable",
    "FilesSource",
    "FolderScan",
    "Source",
    "TarSource",
    "known_extensions",
    "open_archive",
    "open_csv",
    "open_flat",
    "open_folder",
    "open_ilsvrc",
    "open_list",
    "permutation",
    "read_list",
    "scan_folder",
    "shuffled",
]
