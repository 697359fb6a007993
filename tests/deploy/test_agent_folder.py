"""A folder of CSV files as an agent's system: read page by page, stock written into it, shipments laid once."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from deploy.agent import folder as module
from deploy.agent.folder import FolderSource
from deploy.agent.memory import NAME
from deploy.agent.source import NotNow, Refused

pytestmark = pytest.mark.feature("SYN-1", "SYN-10")
ORDERS = (
    "external_id,status,is_paid,placed_at,currency,total,customer_email,customer_name,line1,city,country,"
    "sku,title,quantity,unit_price\n"
    "5001,paid,true,2026-11-30T10:00:00Z,EUR,39.98,ada@example.com,Ada,1 Quay,Portsea,GB,SCARF-1,Scarf,2,19.99\n"
)


def lay(path: Path, text: str) -> None:
    """As whoever writes these files does: another one, renamed; long ago."""
    part = path.with_suffix(".new")
    part.write_text(text)
    os.utime(part, (1_700_000_000, 1_700_000_000))
    part.rename(path)


def products(count: int, title: str = "Scarf") -> str:
    rows = [f"scarf-{n},{title} {n},active,SCARF-{n},19.99" for n in range(1, count + 1)]
    return "\n".join(["handle,title,status,sku,price", *rows]) + "\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    lay(tmp_path / "products.csv", products(5))
    lay(tmp_path / "stock.csv", "SKU;note;Quantity;location\r\nSCARF-1;first;5;\r\nSCARF-1;second;9;depot\r\n")
    lay(tmp_path / "orders.csv", ORDERS)
    return tmp_path


@pytest.fixture
def source(place: Path) -> FolderSource:
    return FolderSource(place)


def asked(name: str, after: str | None = None, limit: int = 2, since: str | None = None) -> dict[str, Any]:
    return {"list": name, "since": since, "until": None, "after": after, "limit": limit}


async def pages(source: FolderSource, name: str, limit: int = 2) -> list[list[dict[str, Any]]]:
    found, after = [], None
    while True:
        page = await source.page(asked(name, after, limit))
        found.append(page["items"])
        after = page["next"]
        if after is None:
            return found


def stock(quantity: int, expected: int | None, *, key: str = "k1", location: str = "main") -> dict[str, Any]:
    same = {"operation_key": key, "sku": "SCARF-1", "location": location}
    return same | {"id": f"{location}/SCARF-1", "quantity": quantity, "expected": expected}


def shipment(key: str = "s1", order: str = "5001") -> dict[str, Any]:
    same = {"operation_key": key, "order_id": order, "carrier": "DHL", "tracking_numbers": ["JD1"]}
    return same | {"lines": [{"sku": "SCARF-1", "quantity": 1}], "tracking_url": None}


# --- reading


async def test_it_says_what_it_has(source: FolderSource, place: Path) -> None:
    hello = await source.hello()
    assert hello["can"] == ["read:products", "read:stock", "read:orders", "write:shipments", "write:stock"]
    assert [each["id"] for each in hello["places"]] == ["main", "depot"]
    (place / "stock.csv").unlink()
    assert (await source.hello())["can"] == ["read:products", "read:orders", "write:shipments"]
    with pytest.raises(Refused, match=r"no 'stock\.csv'"):
        await source.page(asked("stock"))
    with pytest.raises(Refused):
        await source.page(asked("suppliers"))
    with pytest.raises(Refused, match="no folder"):
        FolderSource(place / "nowhere")


async def test_pages_have_everything_once_in_the_words_of_the_protocol(source: FolderSource) -> None:
    found = await pages(source, "products")
    assert [[each["id"] for each in page] for page in found] == [
        ["scarf-1", "scarf-2"],
        ["scarf-3", "scarf-4"],
        ["scarf-5"],
    ]
    first = found[0][0]
    assert (first["title"], first["variants"][0]["id"]) == ("Scarf 1", "SCARF-1")
    assert first["variants"][0]["price"] == {"amount": 1999, "currency": "EUR"}
    assert [(each["id"], each["quantity"]) for page in await pages(source, "stock") for each in page] == [
        ("main/SCARF-1", 5),
        ("depot/SCARF-1", 9),
    ]
    ((order,),) = await pages(source, "orders")
    assert (order["id"], order["total"]) == ("5001", {"amount": 3998, "currency": "EUR"})
    read = await source.read({"list": "products", "ids": ["scarf-4", "scarf-9"]})
    assert [each["id"] for each in read["items"]] == ["scarf-4"]


async def test_any_page_is_taken_up_by_an_agent_that_knows_nothing_else(place: Path) -> None:
    first = await FolderSource(place).page(asked("products"))
    second = await FolderSource(place).page(asked("products", first["next"]))
    assert [each["id"] for each in second["items"]] == ["scarf-3", "scarf-4"]
    for wrong in ("", "[1]", '["x", "y"]', "{}", "\u00fc"):
        with pytest.raises(Refused, match="none of ours"):
            await FolderSource(place).page(asked("products", wrong))


async def test_a_file_that_changes_between_two_pages_is_read_from_its_beginning(
    source: FolderSource, place: Path
) -> None:
    first = await source.page(asked("products"))
    lay(place / "products.csv", products(3, "Cap"))
    second = await source.page(asked("products", first["next"]))
    assert [each["title"] for each in second["items"]] == ["Cap 1", "Cap 2"]


async def test_what_nobody_has_touched_is_not_read_again(source: FolderSource) -> None:
    later = await source.page(asked("products", since="2100-01-01T00:00:00Z"))
    assert (later["items"], later["next"]) == ([], None)
    earlier = await source.page(asked("products", since="2020-01-01T00:00:00Z"))
    assert len(earlier["items"]) == 2, "given its name just now, whatever its own time says"


async def test_a_row_that_can_not_be_read_is_told_and_a_file_that_is_none_is_refused(
    source: FolderSource, place: Path
) -> None:
    lay(place / "stock.csv", "sku,quantity\nSCARF-1,many\nSCARF-2,3\n")
    page = await source.page(asked("stock", limit=10))
    assert [each["id"] for each in page["items"]] == ["main/SCARF-2"]
    assert "line 2" in page["unread"][0]["message"]
    for content in ("", "sku,quantity\n", "nothing of ours\n1\n"):
        lay(place / "stock.csv", content)
        with pytest.raises(Refused, match=r"stock\.csv"):
            await source.page(asked("stock"))


async def test_a_file_that_is_written_to_is_waited_for(
    source: FolderSource, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_LOOKS", 2)
    monkeypatch.setattr(module, "_SETTLED_SECONDS", 3600.0)
    monkeypatch.setattr(module.time, "sleep", lambda _seconds: (place / "stock.csv").touch())
    (place / "stock.csv").touch()
    with pytest.raises(NotNow, match="all the time"):
        await source.page(asked("stock"))


# --- writing


async def test_stock_is_written_into_its_one_cell(source: FolderSource, place: Path) -> None:
    assert await source.write("stock", stock(3, 5)) == {"outcome": "ok", "id": "main/SCARF-1"}
    changed = b"SKU;note;Quantity;location\r\nSCARF-1;first;3;\r\nSCARF-1;second;9;depot\r\n"
    assert (place / "stock.csv").read_bytes() == changed
    assert (await source.write("stock", stock(3, 3, key="k2")))["outcome"] == "unchanged"
    stale = await source.write("stock", stock(1, 5, key="k3"))
    assert (stale["outcome"], stale["fields"]) == ("stale", {"quantity": 3})
    assert (await source.write("stock", stock(1, 1, key="k4", location="moon")))["outcome"] == "person"
    with pytest.raises(Refused):
        await source.write("products", {})
    lay(place / "stock.csv", "sku,quantity\nSCARF-1,many\n")
    assert (await source.write("stock", stock(1, 1, key="k5")))["outcome"] == "person"


async def test_a_write_that_was_done_is_not_done_again_by_another_agent_either(
    source: FolderSource, place: Path
) -> None:
    """SYN-7, INV-7: one was sold after the first try took effect, and it is not put back."""
    await source.write("stock", stock(3, None))
    lay(place / "stock.csv", "sku,quantity\nSCARF-1,2\n")
    assert (await FolderSource(place).write("stock", stock(3, None)))["outcome"] == "ok"
    assert (place / "stock.csv").read_text() == "sku,quantity\nSCARF-1,2\n"


async def test_whoever_writes_to_the_stock_file_meanwhile_is_not_written_over(
    source: FolderSource, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module._lay

    def late(path: Path, content: bytes) -> None:
        real(path, content)
        lay(place / "stock.csv", "sku,quantity\nSCARF-1,4\n")

    monkeypatch.setattr(module, "_lay", late)
    with pytest.raises(NotNow, match="meanwhile"):
        await source.write("stock", stock(3, 5))
    monkeypatch.undo()
    assert (place / "stock.csv").read_text() == "sku,quantity\nSCARF-1,4\n"
    assert (await source.write("stock", stock(3, 5)))["outcome"] == "stale"


async def test_stock_that_is_being_written_in_place_is_waited_for_and_then_written_whole(
    source: FolderSource, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a table is not taken for all of it; what was written here itself is not waited for."""
    waits: list[float] = []

    def finish(seconds: float) -> None:
        waits.append(seconds)
        with (place / "stock.csv").open("a") as file:
            file.write("SCARF-2,6,main\n")
        os.utime(place / "stock.csv", (1_700_000_000, 1_700_000_000))

    monkeypatch.setattr(module.time, "sleep", finish)
    (place / "stock.csv").write_text("sku,quantity,location\nSCARF-1,5,main\n")
    for quantity in (4, 3):
        assert (await source.write("stock", stock(quantity, None, key=f"k{quantity}")))["outcome"] == "ok"
    assert (place / "stock.csv").read_text() == "sku,quantity,location\nSCARF-1,3,main\nSCARF-2,6,main\n"
    assert len(waits) == 1
    assert 0 < waits[0] <= 1


async def test_an_unfinished_file_of_somebody_else_is_left_alone(source: FolderSource, place: Path) -> None:
    """Whoever renames `stock.csv.part` has it open while we write, and an agent that was killed has left its own."""
    theirs = place / "stock.csv.part"
    theirs.write_text("sku,quantity\nSCARF-1,")
    (place / ".crossdock-stock.csv.part").write_text("left by one that was killed")
    assert (await source.write("stock", stock(3, 5)))["outcome"] == "ok"
    assert theirs.read_text() == "sku,quantity\nSCARF-1,"
    assert not (place / ".crossdock-stock.csv.part").exists()


async def test_a_shipment_is_one_file_however_often_it_is_tried(source: FolderSource, place: Path) -> None:
    for _ in range(2):
        assert (await source.write("shipments", shipment()))["outcome"] == "ok"
    (file,) = (place / "out").iterdir()
    assert "s1,5001,SCARF-1,1,DHL,JD1" in file.read_text()
    file.unlink()
    assert (await FolderSource(place).write("shipments", shipment()))["outcome"] == "ok"
    assert list((place / "out").iterdir()) == [], "whoever took it has it"
    unknown = await source.write("shipments", shipment("s2", "404"))
    assert (unknown["outcome"], "404" in unknown["message"]) == ("person", True)


@pytest.mark.parametrize("step", ["_lay", "keep", "replace"])
async def test_a_shipment_that_was_begun_is_brought_to_its_end(
    place: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after any step, whoever is given it next makes one file of it."""

    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    if step == "_lay":
        real = module._lay
        monkeypatch.setattr(module, "_lay", lambda path, content: (real(path, content), killed()))
    elif step == "keep":
        monkeypatch.setattr("deploy.agent.memory.Alone.keep", killed)
    else:
        monkeypatch.setattr(module.os, "replace", killed)
    with pytest.raises(Killed):
        FolderSource(place)._ship(shipment())
    monkeypatch.undo()
    assert (await FolderSource(place).write("shipments", shipment()))["outcome"] == "ok"
    assert [path.suffix for path in (place / "out").iterdir()] == [".csv"]


async def test_what_the_disk_says_is_told_and_may_pass(source: FolderSource, place: Path) -> None:
    (place / NAME).write_bytes(b"no database at all" * 100)
    with pytest.raises(NotNow, match="not a database"):
        await source.write("stock", stock(1, 5))
    (place / NAME).unlink()
    with sqlite3.connect(place / NAME, isolation_level=None) as other:
        other.execute("CREATE TABLE x (y)")
    assert (await source.write("stock", stock(1, 5)))["outcome"] == "ok"
