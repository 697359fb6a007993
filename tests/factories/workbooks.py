"""Workbooks and archives made by hand, to say in them what no program would write."""

import io
import zipfile
from collections.abc import Mapping, Sequence

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'


def zipped(files: Mapping[str, bytes | str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def workbook(
    rows: str,
    *,
    more: Mapping[str, str] | None = None,
    strings: Sequence[str] = (),
    formats: Sequence[str] = ("general",),
    after: str = "",
    head: str = "",
) -> bytes:
    """A workbook whose sheet `Sheet1` has the XML `rows`, with `more` sheets; style n shows numbers by `formats[n]`."""
    sheets = {"Sheet1": rows, **(more or {})}
    own = "".join(f'<numFmt numFmtId="{200 + n}" formatCode="{code}"/>' for n, code in enumerate(formats))
    styles = "".join(f'<xf numFmtId="{code if code.isdigit() else 200 + n}"/>' for n, code in enumerate(formats))
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1))
    related = "".join(
        f'<Relationship Id="r{n}" Type="http://x/relationships/worksheet" Target="worksheets/s{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    return zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "xl/workbook.xml": f"<workbook {_MAIN} {_R}><sheets>{listed}</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": f"<Relationships>{related}</Relationships>",
            "xl/styles.xml": f"<styleSheet {_MAIN}><numFmts>{own}</numFmts><cellStyleXfs><xf/></cellStyleXfs>"
            f"<cellXfs>{styles}</cellXfs></styleSheet>",
            "xl/sharedStrings.xml": f"<sst {_MAIN}>{''.join(strings)}</sst>",
            **{
                f"xl/worksheets/s{n}.xml": f"{head}<worksheet {_MAIN}><sheetData>{each}</sheetData>{after}</worksheet>"
                for n, each in enumerate(sheets.values(), 1)
            },
        }
    )
