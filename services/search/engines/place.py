"""Where the indexes of one process lie: a folder nobody else uses for as long as the process lives.

The folder is held by a lock that ends with its process, however that ends; the next process to start takes it over with
all that is in it, so what was read once need not be read again, and folders do not pile up.
"""

import fcntl
import itertools
import os
import shutil
from pathlib import Path
from uuid import UUID


class Place:
    """One process's folder."""

    def __init__(self, root: Path) -> None:
        """Take the first folder below `root` that no living process holds. Blocks for a moment."""
        for number in itertools.count():
            folder = root / f"reader-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            self.folder, self._descriptor = folder, descriptor
            return

    def of_shop(self, organization_id: UUID, shop_id: UUID, edition: str) -> Path:
        """The folder of one edition of a shop's index."""
        return self.folder / organization_id.hex / shop_id.hex / edition

    def of_organization(self, organization_id: UUID, edition: str) -> Path:
        """The folder of one edition of an organization's index."""
        return self.folder / organization_id.hex / edition

    def remove_others(self, edition: Path) -> None:
        """Remove the folders of a shop, or organization, but this one."""
        if edition.parent.exists():
            for folder in edition.parent.iterdir():
                if folder != edition:
                    shutil.rmtree(folder, ignore_errors=True)

    def remove_shop(self, organization_id: UUID, shop_id: UUID) -> None:
        shutil.rmtree(self.folder / organization_id.hex / shop_id.hex, ignore_errors=True)

    def close(self) -> None:
        """Let another process have the folder."""
        os.close(self._descriptor)
