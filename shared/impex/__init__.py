"""Files in and out: reading product files of any format, and telling the uploader what was wrong with them.

    async with spooled_stream(body) as path:
        source = open_source(path, ReadingOptions(profile=…))   # raises a named error
        file = ProductFile(source, "shopify", "USD")            # or None, to go by the headings
        for chunk in file.chunks():                             # groups, errors, notices; plain Python, so in a thread
            ...
        write_error_file(source, file.layout, Refusals(errors_by_row), destination)

    opening.py      what a file is: CSV, NDJSON, JSON, Parquet, XLSX, each also in a zip
    source.py       what every format is read as, and CSV;  json_lines.py  NDJSON
    converted.py    the rest, read by a process of its own (sandbox.py, converting.py)
    values.py       numbers, dates, booleans and lists as the text of a cell
    profiles/       what columns mean;  arranging.py  rows that belong together and stand apart
    templates.py    files to begin with

No database here, and nothing asynchronous but the spooling: a service decides what to do with what it reads.
"""
