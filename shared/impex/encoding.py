"""Which characters a file's bytes are: told by its first bytes, or by the uploader."""

import codecs
import re
from pathlib import Path

from shared.impex.errors import EmptyFile, NotATable, NotAText, UnknownEncoding

HEAD_BYTES = 256 * 1024
# How much of a text is shown to say how it was read.
_AROUND = 30

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

# First bytes of what people upload by mistake, and what to tell them.
_BINARIES = (
    (b"PK\x03\x04", "It is an Excel workbook or a zip archive, and was to be read as text."),
    (b"PK\x05\x06", "It is an empty zip archive: upload the file itself."),
    (b"\xd0\xcf\x11\xe0", "It is an old Excel workbook, or one with a password: save it as XLSX without one."),
    (b"\x1f\x8b", "It is compressed with gzip: unpack it first."),
    (b"\x89PNG", "It is a PNG image: a product file is text, one row a line."),
    (b"\xff\xd8\xff", "It is a JPEG image: a product file is text, one row a line."),
    (b"GIF8", "It is a GIF image: a product file is text, one row a line."),
    (b"%PDF", "It is a PDF document: export the table itself as CSV."),
    (b"PAR1", "It is a Parquet file, and was to be read as text."),
)

_JSON = ("{", "[")

# How texts begin that are no tables, and what to tell their uploaders.
_OTHER_TEXTS = (
    (
        ("<!doctype html", "<html", "<head"),
        "It is a web page, whatever its name says: perhaps one that asks you to sign in (fetch the file itself), "
        "perhaps a table that was saved for Excel (open it there and save it as XLSX or CSV).",
    ),
    (("<?xml", "<rss", "<feed"), "It is XML: export the table as CSV."),
    (_JSON, "It is JSON, and was to be read as CSV."),
    (("%!ps", "{\\rtf"), "It is a document for printing: export the table itself as CSV."),
)

# What a text is taken for that is nothing else, and how people call it.
_FALLBACK, GUESSED = "cp1252", "windows-1252"
_READABLE = {
    codecs.lookup(name).name
    for name in (
        *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "ascii", "koi8-r", "koi8-u", "mac-roman"),
        *(f"windows-{page}" for page in range(1250, 1259)),
        *(f"iso-8859-{part}" for part in (*range(1, 12), 13, 14, 15, 16)),
        *("gbk", "gb18030", "big5", "shift_jis", "cp932", "euc-jp", "euc-kr", "cp850", "cp437"),
    )
}


def choose_encoding(head: bytes, asked: str | None = None) -> str:
    """The codec of a file beginning with `head`: the one `asked` for, else by its mark, else UTF-8, else Windows-1252.

    `head` is the whole file or its first HEAD_BYTES. Raises EmptyFile, NotAText, UnknownEncoding.
    """
    if not head:
        raise EmptyFile("The file has no content: upload it again.")
    _refuse_known_binary(head)
    encoding = _checked(asked) if asked else _detected(head)
    if b"\0" in head and not encoding.startswith("utf-16"):
        raise NotAText("It contains NUL bytes, which no text has. A UTF-16 file needs its byte order mark.")
    return encoding


def _refuse_known_binary(head: bytes) -> None:
    for magic, advice in _BINARIES:
        if head.startswith(magic):
            raise NotAText(advice)


def refuse_other_texts(head: str, *, is_json_fine: bool = False) -> None:
    """Refuse what is text and yet not rows under headings. Raises NotATable."""
    beginning = head.lstrip("\ufeff \t\r\n").casefold()
    for marks, advice in reversed(_OTHER_TEXTS):
        if beginning.startswith(marks) and not (is_json_fine and marks is _JSON):
            raise NotATable(advice)


def is_printed(head: str) -> bool:
    """Whether a text that begins with a brace is a document for printing."""
    return head.lstrip("\ufeff \t\r\n").casefold().startswith("{\\rtf")


def _checked(asked: str) -> str:
    try:
        name = codecs.lookup(asked).name
    except (LookupError, ValueError):
        name = ""
    if name not in _READABLE:
        raise UnknownEncoding(
            f"'{asked}' is not an encoding we read; utf-8, utf-16 and windows-1252 are the usual ones."
        )
    return "utf-8-sig" if name == "utf-8" else name


def _detected(head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return "utf-8" if _is_damaged_utf8(head) else _FALLBACK
    return "utf-8"


def _is_damaged_utf8(head: bytes) -> bool:
    """Whether most characters beyond ASCII are well-formed UTF-8, so that Windows-1252 would spoil them."""
    text = head.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    return sum(character > "\x7f" for character in text) - damaged > damaged


def guessed_word(path: Path, encoding: str) -> str | None:
    """A piece of the head of a file around its first character that is only guessed; None where nothing is."""
    if encoding != _FALLBACK:
        return None
    with path.open("rb") as file:
        text = file.read(HEAD_BYTES).decode(encoding, "replace")
    found = re.search(r"[^\x00-\x7f]", text)
    if found is None:
        return None
    begin = max(text.rfind("\n", 0, found.start()) + 1, found.start() - _AROUND)
    return text[begin : found.end() + _AROUND].splitlines()[0]
