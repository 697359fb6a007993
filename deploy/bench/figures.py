"""What a scenario measures."""

from dataclasses import dataclass

from deploy.bench.load import Measured


@dataclass(frozen=True)
class Figure:
    """One line of the table. `rate` is of `unit` per second, where there is one.

    `bare_rate` is that of a COPY of the same rows without a key, `keyed_rate` of one into columns with types and keys.
    """

    name: str
    rate: float | None
    unit: str
    measured: Measured | None = None
    note: str = ""
    bare_rate: float | None = None
    keyed_rate: float | None = None
