"""What everything is compared with: a FastAPI endpoint that returns 20 objects through a `response_model`."""

from fastapi import FastAPI
from pydantic import BaseModel


class Price(BaseModel):
    amount: int
    currency: str


class Item(BaseModel):
    slug: str
    title: str
    brand: str
    sku: str
    price: Price
    available: bool
    available_quantity: int


class ItemList(BaseModel):
    items: list[Item]
    next: str | None


app = FastAPI()
_LIST = ItemList(
    items=[
        Item(
            slug=f"item-{number}",
            title=f"The item with the number {number}",
            brand="Bare",
            sku=f"BARE-{number:03}",
            price=Price(amount=1999 + number, currency="USD"),
            available=True,
            available_quantity=number,
        )
        for number in range(20)
    ],
    next=None,
)


@app.get("/items", response_model=ItemList)
async def list_items() -> ItemList:
    return _LIST
