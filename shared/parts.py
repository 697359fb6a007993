"""A file that a job writes in parts, so that it can be killed at any instant and go on.

A part lies in the blob store before the step that counts it is committed. Killed in between, the next run writes the
portion again under a name of its own: nothing comes twice, and nothing is left out. The job's checkpoint has the runs
in their order, each with how many parts it wrote.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared import blobs
from shared.contracts.platform.shapes import ResultFile
from shared.identifiers import new_id
from shared.impex.writing_files import FileFormat, write_file
from shared.jobs import RunningJob


@dataclass(frozen=True, slots=True)
class PartedFile:
    """`folder` is where it lies in the blob store; `run` names the parts that this run of the job writes."""

    form: FileFormat
    headings: Sequence[str]
    folder: str
    name: str
    zipped: bool = False
    run: str = field(default_factory=lambda: new_id().hex)

    async def put(self, job: RunningJob, content: bytes) -> None:
        """Lay the next part down; `count` it in the step that says what it holds."""
        await blobs.put(job.organization_id, self._key(self.run, self._written(job)), content)

    def count(self, job: RunningJob) -> None:
        runs = job.checkpoint.setdefault("parts", [])
        if runs and runs[-1][0] == self.run:
            runs[-1][1] += 1
        else:
            runs.append([self.run, 1])

    async def join(self, job: RunningJob) -> ResultFile:
        """Put the file together, and lay it where it stays. Raises TooManyRowsForWorkbook, ArrayTooLarge."""
        key = f"{self.folder}/{self.name}"
        with tempfile.TemporaryDirectory(prefix="crossdock-") as name:
            folder = Path(name)
            parts = [await _fetch(job, part, folder / f"{number:06}") for number, part in enumerate(self._keys(job))]
            whole = folder / "file"
            zipped_as = self.name.removesuffix(".zip") if self.zipped else None
            await asyncio.to_thread(write_file, self.form, self.headings, parts, whole, zipped_as)
            stored = await blobs.put_stream(job.organization_id, key, _pieces(whole))
        media_type = "application/zip" if self.zipped else self.form.media_type
        return ResultFile(name=self.name, key=key, media_type=media_type, size=stored.size)

    async def remove_parts(self, job: RunningJob) -> None:
        for key in self._keys(job):
            await blobs.delete(job.organization_id, key)

    def _key(self, run: str, number: int) -> str:
        return f"{self.folder}/{run}/part-{number:06}"

    def _written(self, job: RunningJob) -> int:
        runs = job.checkpoint.get("parts") or [[None, 0]]
        return int(runs[-1][1]) if runs[-1][0] == self.run else 0

    def _keys(self, job: RunningJob) -> list[str]:
        """All parts in the order of the file."""
        return [self._key(run, number) for run, count in job.checkpoint.get("parts", ()) for number in range(count)]


async def _fetch(job: RunningJob, key: str, path: Path) -> Path:
    with await asyncio.to_thread(path.open, "wb") as file:
        async for piece in blobs.get_stream(job.organization_id, key):
            await asyncio.to_thread(file.write, piece)
    return path


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, 1 << 20):
            yield piece
