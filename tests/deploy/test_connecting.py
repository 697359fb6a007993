"""What `crossdock connect` asks for, and what it makes of options."""

from pathlib import Path

import pytest

from deploy.connecting.asking import Nobody, Unanswered
from deploy.connecting.draft import QUESTIONS, Given, WrongOption, drafted, settings_of
from services.sync.platforms.registry import PLATFORMS
from shared.contracts.sync.shapes import ConnectionDraft

pytestmark = pytest.mark.feature("SYN-1")


class Scripted(Nobody):
    """Gives the answers in their order."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    def text(self, question: str, option: str, default: str | None = None) -> str:
        return self.answers.pop(0)


@pytest.mark.parametrize("platform", sorted(PLATFORMS))
def test_every_platform_is_asked_for_what_it_cannot_do_without(platform: str) -> None:
    examples = {"shop": "quay.myshopify.com", "url": "https://quay.example", "folder": "quay"}
    questions = QUESTIONS[platform]
    answers = [examples.get(question.name, "x" * 20) for question in questions]
    draft = drafted(Given(platform), ["main", "other"], Scripted(*answers, "main", "Quay"))
    made = ConnectionDraft.model_validate(draft)
    PLATFORMS[platform].check_settings(made.settings.platform)
    assert made.credentials.keys() <= set(PLATFORMS[platform].credential_names)
    assert {each.name for each in questions if each.is_secret} == made.credentials.keys()


def test_what_is_given_is_not_asked_for(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("from-a-file\n")
    given = Given(
        "custom",
        settings=["url=https://quay.example/a=b", "page_size=500", "guard_percent=5", 'match_by=["barcode"]'],
        credentials=[f"token=@{secret}"],
    )
    draft = drafted(given, ["main"], Nobody())
    assert draft["settings"] == {
        "platform": {"url": "https://quay.example/a=b", "page_size": 500},
        "guard_percent": 5,
        "match_by": ["barcode"],
    }
    assert (draft["credentials"], draft["shop"], draft["name"]) == ({"token": "from-a-file"}, "main", "custom")


def test_one_credential_may_stand_for_others() -> None:
    given = Given("shopify", "Quay", "main", ["shop=quay.myshopify.com"], ["access_token=shpat_1"])
    assert drafted(given, [], Nobody())["credentials"] == {"access_token": "shpat_1"}
    files = Given("files", "Quay", "main", ["folder=quay", 'products={"pattern": "*.csv"}'])
    assert drafted(files, [], Nobody())["settings"]["platform"]["products"] == {"pattern": "*.csv"}


def test_a_name_with_dots_leads_into_a_table() -> None:
    assert settings_of(["products.pattern=*.csv", "products.profile=shopify", "price.ending=99"]) == {
        "platform": {"products": {"pattern": "*.csv", "profile": "shopify"}},
        "price": {"ending": 99},
    }
    with pytest.raises(WrongOption, match="twice"):
        settings_of(["products=x", "products.pattern=*.csv"])


@pytest.mark.parametrize("pair", ["url", "url=", "=x", " "])
def test_what_is_no_pair_is_refused(pair: str) -> None:
    with pytest.raises(WrongOption, match="name=value"):
        settings_of([pair])


def test_with_nobody_to_ask_the_option_is_named() -> None:
    with pytest.raises(Unanswered, match="--credential token"):
        drafted(Given("custom", settings=["url=https://quay.example"]), ["main"], Nobody())
    with pytest.raises(Unanswered, match="--shop"):
        drafted(Given("custom", None, None, ["url=https://q.example"], ["token=t"]), ["a", "b"], Nobody())
    with pytest.raises(WrongOption, match="file of a credential"):
        drafted(Given("custom", None, "a", ["url=https://q.example"], ["token=@/none"]), ["a"], Nobody())
