"""What can be wrong with a file as a whole. A fault of one row is a `RowError` (rows.py) and stops nothing else."""

from shared.errors import TooLarge, ValidationFailed


class UnreadableFile(ValidationFailed):
    """The file cannot be read as a table of rows."""


class NotAText(UnreadableFile):
    """The file is a workbook, an archive, an image or other binary data."""

    title = "The file is not a text file"


class NotATable(UnreadableFile):
    """The file is a web page, JSON or another text without rows under headings."""

    title = "The file is not a table"


class EmptyFile(UnreadableFile):
    title = "The file is empty"


class NoRows(UnreadableFile):
    title = "The file has headings and no rows"


class InvalidEncoding(UnreadableFile):
    """Bytes that are not text in the file's encoding; the detail names the line and the encoding."""

    title = "The file is not in one encoding throughout"


class UnknownEncoding(UnreadableFile):
    title = "The encoding asked for is not one we read"


class InvalidDelimiter(UnreadableFile):
    title = "The delimiter asked for is not one we read"


class InvalidHeader(UnreadableFile):
    """The line of headings itself is broken: an open quote, or longer than any heading line."""

    title = "The headings cannot be read"


class DuplicateHeaders(UnreadableFile):
    title = "Two columns say the same"


class UnknownHeaders(UnreadableFile):
    title = "None of the headings is known"


class MissingHeaders(UnreadableFile):
    title = "A heading is missing without which no row can be read"


class UnknownGroup(ValidationFailed):
    """There are no files of this group."""


class UnknownProfile(ValidationFailed):
    title = "There is no such profile"


class TooManyBrokenQuotes(UnreadableFile):
    title = "The file has too many quotes that are never closed"


class HeaderTooWide(TooLarge):
    title = "The file has more columns than any product has"


class UnknownFormat(ValidationFailed):
    title = "There is no such file format"


class UnknownSheet(ValidationFailed):
    title = "The workbook has no such sheet"


class InvalidWorkbook(UnreadableFile):
    """An XLSX file that no spreadsheet program would open."""

    title = "The workbook cannot be read"


class InvalidJson(UnreadableFile):
    """JSON that is cut off or no array of objects; the detail says where."""

    title = "The JSON cannot be read"


class InvalidParquet(UnreadableFile):
    title = "The Parquet file cannot be read"


class InvalidArchive(UnreadableFile):
    """A zip that cannot be unpacked, holds no file or holds several."""

    title = "The zip archive cannot be read"


class NestedArchive(InvalidArchive):
    title = "The zip archive holds another one"


class EncryptedFile(UnreadableFile):
    title = "The file is protected by a password"


class UnsafeArchive(InvalidArchive):
    """A name in the archive leads out of it."""

    title = "The zip archive is not safe to unpack"


class UnpackedTooLarge(TooLarge):
    """What is inside is larger than what we read, or so much larger than the file that it looks made for harm."""

    title = "The file is too large once it is unpacked"


class TooDemanding(TooLarge):
    """Reading the file took more memory or time than any real file of its size needs."""

    title = "The file takes too much to be read"


class DamagedFile(UnreadableFile):
    """The file broke its reader in a way that nobody foresaw."""

    title = "The file is damaged"
