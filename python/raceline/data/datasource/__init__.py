"""Sources and sinks of a user's own, by the names of Ray Data's ``ray.data.datasource``."""

from raceline.data.datasource.datasink import (
    Datasink,
    DummyOutputDatasink,
    TaskContext,
    WriteResult,
)
from raceline.data.datasource.datasource import (
    Datasource,
    RandomIntRowDatasource,
    Reader,
    ReadTask,
)
from raceline.data.datasource.file_datasink import BlockBasedFileDatasink, RowBasedFileDatasink
from raceline.data.datasource.file_datasource import (
    BaseFileMetadataProvider,
    DefaultFileMetadataProvider,
    FileBasedDatasource,
    FileMetadataProvider,
)
from raceline.data.datasource.filename_provider import FilenameProvider
from raceline.data.datasource.partitioning import (
    Partitioning,
    PartitionStyle,
    PathPartitionFilter,
    PathPartitionParser,
    PathPartitionScheme,
)
from raceline.data.save_mode import SaveMode
from raceline.data.shuffling import FileShuffleConfig

__all__ = [
    "BaseFileMetadataProvider",
    "BlockBasedFileDatasink",
    "Datasink",
    "Datasource",
    "DefaultFileMetadataProvider",
    "DummyOutputDatasink",
    "FileBasedDatasource",
    "FileMetadataProvider",
    "FileShuffleConfig",
    "FilenameProvider",
    "PartitionStyle",
    "Partitioning",
    "PathPartitionFilter",
    "PathPartitionParser",
    "PathPartitionScheme",
    "RandomIntRowDatasource",
    "ReadTask",
    "Reader",
    "RowBasedFileDatasink",
    "SaveMode",
    "TaskContext",
    "WriteResult",
]
