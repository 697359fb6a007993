"""A file to begin with, for each profile and group: its headings, an example, and what each column means.

One table serves all: the CSV has headings and example (a line of explanation would be taken for a product), the XLSX a
second sheet that explains each column, and the API answers the columns themselves. Columns that nothing is kept of are
left out.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from shared.impex import group_templates
from shared.impex.errors import UnknownFormat, UnknownGroup, UnknownProfile
from shared.impex.profiles.registry import get_profile
from shared.impex.workbook_file import write_sheets

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a template. `example` is what the first row of the example has in it."""

    name: str
    is_required: bool
    meaning: str
    example: str


@dataclass(frozen=True, slots=True)
class Template:
    """The columns of a profile's files of one group, and the rows of an example."""

    profile: str
    columns: tuple[Column, ...]
    more: tuple[Mapping[str, str], ...]
    group: str = "products"

    def rows(self) -> list[list[str]]:
        """Headings and example."""
        names = [column.name for column in self.columns]
        first = [column.example for column in self.columns]
        return [names, first, *([row.get(name, "") for name in names] for row in self.more)]


def get_template(profile: str, group: str = "products") -> Template:
    """Raises UnknownProfile, UnknownGroup."""
    if group == "products":
        return TEMPLATES[get_profile(profile).name]
    found = OF_GROUPS.get(group)
    if found is None:
        known = ", ".join(("products", *OF_GROUPS))
        raise UnknownGroup(f"There is no template of '{group[:50]}'; there are {known}.")
    if get_profile(profile).name != found.profile:
        raise UnknownProfile(f"Files of {group} have the columns of '{found.profile}' alone, whoever brings them.")
    return found


def write_template(template: Template, name: str, file: BinaryIO) -> None:
    """Write a template as csv or xlsx. Raises UnknownFormat."""
    if name == "csv":
        text = io.TextIOWrapper(file, "utf-8-sig", newline="", write_through=True)
        csv.writer(text).writerows(template.rows())
        text.detach()
    elif name == "xlsx":
        explained = [[c.name, "yes" if c.is_required else "", c.meaning, c.example] for c in template.columns]
        headings = ["Column", "Required", "Meaning", "Example"]
        write_sheets({template.group.title(): template.rows(), "Columns": [headings, *explained]}, file)
    else:
        raise UnknownFormat(f"'{name[:50]}' is not a format of templates; there are {', '.join(MEDIA_TYPES)}.")


def _template(profile: str, table: str, more: Sequence[Mapping[str, str]] = (), group: str = "products") -> Template:
    """From lines of `name ¦ meaning ¦ example`; an asterisk after the name says that it is required."""
    columns = []
    for line in filter(None, map(str.strip, table.splitlines())):
        name, meaning, example = (part.strip() for part in line.split(" ¦"))
        columns.append(Column(name.removesuffix(" *"), name.endswith(" *"), meaning, example))
    return Template(profile, tuple(columns), tuple(more), group)


_CROSSDOCK = """
handle * ¦ The product's key, as in its address; the same in all rows of a product, which stand together ¦ wool-scarf
title ¦ What the product is called; new products need it ¦ Wool scarf
description ¦ The description, HTML ¦ <p>Woven on a hand loom.</p>
brand ¦ The brand ¦ Skerry Looms
type ¦ What kind of thing it is ¦ Scarf
tags ¦ Words, separated by a bar ¦ wool | winter
status ¦ draft, active, paused or archived ¦ active
categories ¦ Paths, separated by a bar, their steps by > ¦ Home > Textiles | Gifts
attributes ¦ Names and values, separated by a bar ¦ fibre=wool | care=hand wash
seo title ¦ The title for search engines ¦ Wool scarf, hand woven
seo description ¦ The description for search engines ¦ A warm scarf of wool.
images ¦ Web addresses in their order, separated by a bar ¦ https://images.example/scarf-1.jpg
image texts ¦ What the images show, in the same order ¦ A red scarf
media ¦ What shows it besides: video, audio, document, model_3d or other ¦ video=https://images.example/scarf.mp4
media texts ¦ What these show, in the same order ¦ The loom at work
media previews ¦ Pictures that stand for them, in the same order ¦ https://images.example/scarf-film.jpg
media positions ¦ Their places among pictures and media, from 1; else behind the pictures ¦ 2
content ¦ More about it, HTML ¦ <p>Wash by hand.</p>
featured ¦ true or false ¦ false
title[de] ¦ The title in another language; so with any tag of a language, such as pt-BR ¦ Wollschal
description[de] ¦ The description in it ¦ <p>Von Hand gewebt.</p>
content[de] ¦ More about it ¦
seo title[de] ¦ The title for search engines ¦
seo description[de] ¦ The description for search engines ¦
attributes[de] ¦ Values of attributes that are texts ¦ fibre=Wolle
option names[de] ¦ What the options are called ¦ Colour=Farbe
option values[de] ¦ What their values are called ¦ Colour > Red=Rot | Colour > Blue=Blau
image texts[de] ¦ What the images show, in the order of the images ¦ Ein roter Schal
media texts[de] ¦ What the media show, in their order ¦
option 1 name ¦ What the variants differ in ¦ Colour
option 2 name ¦ What they differ in besides ¦
option 3 name ¦ And besides ¦
option 1 value ¦ The variant's value of the first option ¦ Red
option 2 value ¦ Of the second ¦
option 3 value ¦ Of the third ¦
sku ¦ The variant's key; one is made where it is empty ¦ SCARF-RED
barcode ¦ A GTIN of 8, 12, 13 or 14 digits ¦ 4006381333931
barcodes ¦ Further GTINs, separated by a bar ¦
mpn ¦ The manufacturer's number ¦ SL-100
price ¦ The price of one, in the shop's currency; quantities, dates and groups have a file of prices ¦ 29.90
list price ¦ The price before a reduction ¦ 39.90
price on request ¦ true or false: sold at a price that is asked for ¦ false
cost ¦ What the thing costs you: not kept in the catalog; costs belong to supplier links ¦
weight grams ¦ The weight in whole grams ¦ 180
weight ¦ The weight in your own unit; leave weight grams empty, or let it agree ¦ 0.18
weight unit ¦ g, kg, oz or lb ¦ kg
length ¦ A size of the parcel; where one is given, all three are as the row says ¦ 30
width ¦ Another ¦ 20
height ¦ The third ¦ 4.5
dimension unit ¦ mm, cm, m, in or ft ¦ cm
order minimum ¦ The fewest that one order takes; where one limit is given, all are as the row says ¦
order maximum ¦ The most that one order takes ¦
order step ¦ An order takes multiples of it ¦
variant attributes ¦ As attributes, of this variant alone ¦ dye=madder
quantity ¦ How many are on hand; imported, and exported as the group stock ¦ 25
stock policy ¦ At zero: standard stops selling, backorder goes on ¦ standard
requires shipping ¦ true or false ¦ true
taxable ¦ true or false ¦ true
tax code ¦ The code of your tax class ¦
variant image ¦ The variant's own image, a web address ¦
"""
_SHOPIFY = """
Title * ¦ What the product is called, in its first row ¦ Wool scarf
URL handle * ¦ The product's key; the same in all rows of a product, which stand together ¦ wool-scarf
Description ¦ The description, HTML ¦ <p>Woven on a hand loom.</p>
Vendor ¦ The brand ¦ Skerry Looms
Product category ¦ A path, its steps separated by > ¦ Apparel > Scarves
Type ¦ What kind of thing it is ¦ Scarf
Tags ¦ Words, separated by commas ¦ wool, winter
Published on online store ¦ TRUE or FALSE ¦ TRUE
Status ¦ Active, Draft, Archived or Unlisted ¦ Active
SKU ¦ The variant's key; one is made where it is empty ¦ SCARF-RED
Barcode ¦ A GTIN of 8, 12, 13 or 14 digits ¦ 4006381333931
Option1 name ¦ What the variants differ in ¦ Colour
Option1 value ¦ The variant's value of the first option ¦ Red
Option2 name ¦ What they differ in besides ¦
Option2 value ¦ Of the second option ¦
Option3 name ¦ And besides ¦
Option3 value ¦ Of the third option ¦
Price ¦ The price, in the shop's currency ¦ 29.90
Compare-at price ¦ The price before a reduction ¦ 39.90
Cost per item ¦ What the thing costs you: not kept in the catalog; costs belong to supplier links ¦
Charge tax ¦ TRUE or FALSE ¦ TRUE
Tax code ¦ The code of your tax class ¦
Inventory quantity ¦ How many are on hand ¦ 25
Continue selling when out of stock ¦ DENY or CONTINUE ¦ DENY
Weight value (grams) ¦ The weight in grams ¦ 180
Requires shipping ¦ TRUE or FALSE ¦ TRUE
Product image URL ¦ A web address; more images in more rows ¦ https://images.example/scarf-1.jpg
Image position ¦ 1 for the first image ¦ 1
Image alt text ¦ What the image shows ¦ A red scarf
Variant image URL ¦ The variant's own image ¦
Gift card ¦ TRUE or FALSE ¦ FALSE
SEO title ¦ The title for search engines ¦ Wool scarf, hand woven
SEO description ¦ The description for search engines ¦ A warm scarf of wool.
Google Shopping / Google product category ¦ The category, where Product category is empty ¦
Google Shopping / Gender ¦ An attribute ¦ unisex
Google Shopping / Age group ¦ An attribute ¦ adult
Google Shopping / Manufacturer part number (MPN) ¦ The manufacturer's number ¦ SL-100
Google Shopping / Condition ¦ An attribute ¦ new
"""
_WOOCOMMERCE = """
ID ¦ WooCommerce's number; variations may name it in Parent as id:123 ¦
Type ¦ simple, variable or variation; also virtual, downloadable ¦ variable
SKU ¦ The key of the product or variation ¦ SCARF
GTIN, UPC, EAN, or ISBN ¦ The barcode ¦
Name * ¦ What the product is called; its handle is made of it ¦ Wool scarf
Published ¦ 1 active, 0 paused, -1 draft ¦ 1
Short description ¦ The description, where Description is empty ¦ A warm scarf of wool.
Description ¦ The description, HTML ¦ <p>Woven on a hand loom.</p>
Date sale price starts ¦ A sale with dates is not taken: it belongs into a file of prices ¦
Date sale price ends ¦ A sale with dates is not taken ¦
Tax status ¦ taxable, shipping or none ¦ taxable
Tax class ¦ The tax code ¦
In stock? ¦ 0 is none on hand; 1 says nothing without Stock ¦ 1
Stock ¦ How many are on hand ¦
Backorders allowed? ¦ 1 or notify goes on selling at zero; 0 stops ¦ 0
Weight (kg) ¦ The weight; also (g), (lbs), (oz) ¦
Length (cm) ¦ A size of the parcel; also (mm), (m), (in) ¦
Width (cm) ¦ Another ¦
Height (cm) ¦ The third ¦
Sale price ¦ The price during a sale ¦
Regular price ¦ The price; beside a sale price the one before it ¦
Categories ¦ Paths, separated by commas, their steps by > ¦ Home > Textiles, Gifts
Tags ¦ Words, separated by commas ¦ wool, winter
Images ¦ Web addresses, separated by commas; a variation's first is its own ¦ https://images.example/scarf-1.jpg
Parent ¦ Of a variation: its product's SKU, or id: and its ID ¦
Brands ¦ The first is the brand ¦ Skerry Looms
Attribute 1 name ¦ An option, where variations have values for it; else an attribute ¦ Colour
Attribute 1 value(s) ¦ All values of the product, the one of a variation ¦ Red, Blue
Attribute 2 name ¦ As Attribute 1 name; there may be more ¦ Fibre
Attribute 2 value(s) ¦ As Attribute 1 value(s) ¦ wool
"""
_MAGENTO = """
sku * ¦ The key ¦ SCARF-RED
store_view_code ¦ Empty; in a row with texts in another language its tag, as de or de_DE ¦
product_type ¦ simple, virtual, downloadable or configurable ¦ simple
categories ¦ Paths with their root, separated by commas, their steps by / ¦ Default Category/Home/Textiles
name * ¦ What the product is called ¦ Wool scarf, red
description ¦ The description, HTML ¦ <p>Woven on a hand loom.</p>
short_description ¦ The description, where description is empty ¦
product_online ¦ 1 active, 2 paused ¦ 1
tax_class_name ¦ The tax code ¦ Taxable Goods
visibility ¦ Not Visible Individually is paused, unless it is a variant ¦ Not Visible Individually
price ¦ The price; beside a special price the one before it ¦ 39.90
special_price ¦ The price; with dates it is not taken ¦ 29.90
special_price_from_date ¦ A special price with dates is not taken ¦
special_price_to_date ¦ A special price with dates is not taken ¦
url_key ¦ The handle; made of the name where it is empty ¦ wool-scarf-red
meta_title ¦ The title for search engines ¦
meta_description ¦ The description for search engines ¦
base_image ¦ A web address ¦ https://images.example/scarf-1.jpg
base_image_label ¦ What it shows ¦ A red scarf
additional_images ¦ Web addresses, separated by commas ¦
additional_image_labels ¦ What they show ¦
country_of_manufacture ¦ An attribute ¦
additional_attributes ¦ name=value, separated by commas; manufacturer is the brand ¦ fibre=wool,manufacturer=Skerry
qty ¦ How many are on hand ¦ 25
is_in_stock ¦ 0 is none on hand ¦ 1
manage_stock ¦ 0: nothing is said of quantities ¦ 1
allow_backorders ¦ 1 and 2 go on selling at zero ¦ 0
use_config_backorders ¦ 1: allow_backorders says nothing ¦ 0
configurable_variations ¦ sku=A,color=Red|sku=B,color=Blue: the variants ¦
configurable_variation_labels ¦ color=Colour: what the options are called ¦
"""
_SUPPLIER = """
vendorSku * ¦ Your key of the item ¦ SL-100-R
name * ¦ What it is called ¦ Wool scarf
brand ¦ The brand ¦ Skerry Looms
msrp ¦ The recommended price ¦ 29.90
defaultCost ¦ What it costs the merchant ¦ 12.00
language ¦ Of the texts: told to whoever reads the file, and not kept ¦ en
isVisible ¦ true or false; empty leaves it as it is ¦ true
images ¦ Web addresses, separated by spaces ¦ https://images.example/scarf-1.jpg
UPC ¦ A barcode of 12 digits ¦
EAN ¦ A barcode of 13 digits ¦ 4006381333931
ISBN ¦ A barcode of 13 digits ¦
ITF-14 ¦ A barcode of 14 digits ¦
groupId ¦ The same for all items that are one product ¦ SL-100
colour ¦ What tells the items of a group apart ¦ Red
size ¦ What tells them apart besides ¦
description ¦ The description ¦ Woven on a hand loom.
attributes ¦ Names and values, separated by semicolons ¦ fibre=wool; care=hand wash
weight ¦ In grams, or with g, kg, oz or lb behind it ¦ 180
height ¦ A size with mm, cm, m, in or ft behind it; a number alone is an attribute ¦ 4.5 cm
width ¦ A size, as the height ¦ 20 cm
length ¦ A size, as the height ¦ 30 cm
categories ¦ Paths, separated by semicolons, their steps by > ¦ Home > Textiles; Gifts
"""


def _woo_variation(sku: str, colour: str, price: str) -> dict[str, str]:
    return {
        "Type": "variation",
        "SKU": sku,
        "Name": f"Wool scarf - {colour}",
        "Published": "1",
        "Parent": "SCARF",
        "Tax status": "taxable",
        "In stock?": "1",
        "Stock": "25",
        "Weight (kg)": "0.18",
        "Regular price": price,
        "Attribute 1 name": "Colour",
        "Attribute 1 value(s)": colour,
    }


TEMPLATES = {
    template.profile: template
    for template in (
        _template(
            "crossdock",
            _CROSSDOCK,
            [
                {
                    "handle": "wool-scarf",
                    "option 1 value": "Blue",
                    "sku": "SCARF-BLUE",
                    "price": "29.90",
                    "quantity": "8",
                }
            ],
        ),
        _template(
            "shopify",
            _SHOPIFY,
            [{"URL handle": "wool-scarf", "Option1 value": "Blue", "SKU": "SCARF-BLUE", "Price": "29.90"}],
        ),
        _template(
            "woocommerce",
            _WOOCOMMERCE,
            [_woo_variation("SCARF-RED", "Red", "29.90"), _woo_variation("SCARF-BLUE", "Blue", "31.90")],
        ),
        _template(
            "magento",
            _MAGENTO,
            [
                {
                    "sku": "SCARF-BLUE",
                    "product_type": "simple",
                    "name": "Wool scarf, blue",
                    "product_online": "1",
                    "visibility": "Not Visible Individually",
                    "price": "29.90",
                    "qty": "8",
                    "is_in_stock": "1",
                },
                {
                    "sku": "SCARF",
                    "product_type": "configurable",
                    "name": "Wool scarf",
                    "product_online": "1",
                    "categories": "Default Category/Home/Textiles",
                    "visibility": "Catalog, Search",
                    "configurable_variations": "sku=SCARF-RED,color=Red|sku=SCARF-BLUE,color=Blue",
                    "configurable_variation_labels": "color=Colour",
                },
            ],
        ),
        _template(
            "supplier",
            _SUPPLIER,
            [{"vendorSku": "SL-100-B", "name": "Wool scarf", "msrp": "29.90", "groupId": "SL-100", "colour": "Blue"}],
        ),
    )
}

OF_GROUPS = {
    group: _template("crossdock", table, group_templates.MORE.get(group, ()), group)
    for group, table in group_templates.TABLES.items()
}
