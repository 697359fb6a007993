"""What an uploader says of all rows of a file where neither its headings nor its cells do."""

from dataclasses import asdict, dataclass
from typing import Any

from shared.measures import WeightUnit


@dataclass(frozen=True, slots=True)
class FileTerms:
    """The unit of weights that stand without one, where paths of pictures lead, and the time zone of bare dates."""

    weight_unit: WeightUnit | None = None
    media_base_url: str | None = None
    time_zone: str | None = None

    def said(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


NAMES = tuple(FileTerms.__dataclass_fields__)
UNSAID = FileTerms()
