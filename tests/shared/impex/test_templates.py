"""Templates: every column is one that its profile reads, and every file imports as it is."""

import io
from pathlib import Path

import pytest

from shared.impex.errors import UnknownFormat, UnknownProfile
from shared.impex.opening import ReadingOptions, open_source
from shared.impex.products import ProductFile
from shared.impex.profiles.base import NOT_KEPT
from shared.impex.profiles.registry import PROFILES
from shared.impex.rows import Notice, ProductRecord, RowError
from shared.impex.templates import TEMPLATES, get_template, write_template

pytestmark = pytest.mark.feature("CAT-5")


def written(profile: str, name: str) -> bytes:
    file = io.BytesIO()
    write_template(get_template(profile), name, file)
    return file.getvalue()


@pytest.mark.parametrize("name", ["csv", "xlsx"])
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("is_named", [True, False], ids=["named", "detected"])
def test_every_template_is_one_product_without_a_word_about_its_rows(
    tmp_path: Path, profile: str, name: str, is_named: bool
) -> None:
    path = tmp_path / "template"
    path.write_bytes(written(profile, name))
    file = ProductFile(
        open_source(path, ReadingOptions(profile=profile if is_named else None)), profile if is_named else None, "USD"
    )
    assert file.profile.name == profile
    said = list(file.read())
    assert [one for one in said if isinstance(one, RowError)] == []
    assert {one.code for one in said if isinstance(one, Notice)} <= {"columns_not_kept", "paths_not_kept"}
    [product] = [one for one in said if isinstance(one, ProductRecord)]
    assert product.title
    assert len(product.variants) == 2
    assert product.option_names == ("Colour",)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_template_has_the_columns_that_its_profile_reads(profile: str) -> None:
    template, reader = TEMPLATES[profile], PROFILES[profile]
    fields = [reader.field_of(column.name) for column in template.columns]
    assert None not in fields
    # `language` is one that suppliers have to give.
    assert [column.name for column, field in zip(template.columns, fields, strict=True) if field == NOT_KEPT] in (
        [],
        ["language"],
    )
    assert all(column.meaning for column in template.columns)
    assert any(column.is_required for column in template.columns)


def test_what_is_no_template_is_said() -> None:
    with pytest.raises(UnknownProfile, match="supplier"):
        get_template("ebay")
    with pytest.raises(UnknownFormat, match="csv, xlsx"):
        written("supplier", "ods")
