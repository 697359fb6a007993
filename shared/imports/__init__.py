"""Imports, the same for every service that has groups of files to take.

A service names its groups (`groups.Group`) and takes the answers and jobs of `service.importing(...)`; its migration
makes the tables with `schema.imports_v1`. What is here knows files, jobs, remarks, samples, holds and histories, and
nothing of what the rows mean:

    groups.py     what a group is: how its files are opened, read, applied, weighed
    rows.py       the tables
    starting.py   started, applied after a dry run, confirmed, run again, undone: each a command
    running.py    the job: checked, perhaps held, written in chunks, finished
    fetching.py   files that are fetched from a URL
    tables.py     files of plain rows, each about one thing: a reader for groups with simple columns
    service.py    the answers and jobs of one service
"""
