"""Columns of files of single groups: lines of `name ¦ meaning ¦ example`, with an asterisk where one is required."""

from collections.abc import Mapping, Sequence

_PRICES = """
sku * ¦ The variant's key ¦ SCARF-RED
price * ¦ The price, in the currency of its list ¦ 29.90
list_price ¦ The price before a reduction ¦ 39.90
minimum_quantity ¦ From how many on; 1 where it is empty ¦ 1
on_request ¦ true where the price is told on request; the row has none then ¦
centre ¦ The code of the only fulfilment centre that the price is for ¦
starts_at ¦ When it begins: a day of universal time, or 2030-03-01T09:00:00+01:00 ¦ 2030-03-01
ends_at ¦ When it ends ¦
price_list ¦ The name or id of one of the shop's lists; empty, its standing one ¦
customer_group ¦ The group whose list is meant ¦
"""
_VARIANTS = """
sku * ¦ The variant's key ¦ SCARF-RED
barcode ¦ A GTIN of 8, 12, 13 or 14 digits ¦ 4006381333931
barcodes ¦ Further GTINs, separated by a bar ¦
mpn ¦ The manufacturer's number ¦ SL-100
weight_grams ¦ The weight in grams ¦ 180
tax_class ¦ The code of your tax class ¦
requires_shipping ¦ true or false ¦ true
taxable ¦ true or false ¦ true
price_on_request ¦ true or false ¦ false
image_url ¦ The variant's own image, a web address ¦
"""
_CATEGORIES = """
path * ¦ Steps from the root, separated by >: names, or slugs to the letter ¦ Home > Textiles
name ¦ What it is called, where the path has its slug ¦
names ¦ By language, separated by a bar ¦ de=Textilien | fr=Textiles
slugs ¦ By language, separated by a bar ¦ de=textilien
enabled ¦ true or false ¦ true
position ¦ Among those beside it, a whole number ¦ 1
valid from ¦ When it opens: a day of universal time, or 2030-03-01T09:00:00+01:00 ¦
valid until ¦ When it closes ¦
"""
_CONTENT = """
shop ¦ The code of the shop that the row is of; the import's own where it is empty, too ¦ main
connection ¦ The id or name of the connection of that shop that the row is of, in place of the shop itself ¦
handle * ¦ The product's key ¦ wool-scarf
sku ¦ The variant that the row is of; empty, it is of the product itself ¦
title ¦ What the channel shows; an empty cell says nothing, here and in what follows ¦ Wool scarf, gift wrapped
description ¦ HTML ¦
content ¦ HTML ¦
seo title ¦ For search engines ¦ Gifts of wool
seo description ¦ For search engines ¦
images ¦ Addresses in their order, separated by a bar ¦
image texts ¦ Their texts for those who cannot see them, in the same order ¦
categories ¦ Paths of categories that are there, separated by a bar ¦
list price ¦ Of a variant: the price before a reduction, in the shop's currency ¦
weight grams ¦ Of a variant: the weight in grams ¦
length mm ¦ Of a variant: millimetres ¦
width mm ¦ Of a variant: millimetres ¦
height mm ¦ Of a variant: millimetres ¦
backorder ¦ Of a variant: allow or deny ¦
order minimum ¦ Of a variant: how much an order takes; the three are taken together ¦
order maximum ¦ Of a variant ¦
order step ¦ Of a variant ¦
channel fields ¦ Fields that are to be the channel's, separated by a bar; with an empty cell, it has nothing there ¦
master fields ¦ Fields that are to be the product's ¦
parent fields ¦ Fields that are to be as the shop above has them ¦
"""
_STOCK = """
sku * ¦ The variant's key ¦ SCARF-RED
centre ¦ The code of the fulfilment centre; the default one where it is empty ¦
on_hand ¦ A count: what is there ¦ 25
delta ¦ A change of it, in place of a count ¦
policy ¦ standard, backorder, preorder, always or showroom ¦ standard
reference ¦ Of a change, so that it is made once ¦
as_of ¦ When it was counted, with the time zone ¦
"""
_ORDERS = """
external_id * ¦ The order's id over there, in every row of the order; a row for each of its lines ¦ 5001
connection ¦ The id of the connection it is of, or its name; needed where there are several ¦
number ¦ What people call the order over there ¦ #5001
status * ¦ Its status over there; the connection says what becomes of it ¦ paid
is_paid * ¦ true or false ¦ true
placed_at * ¦ When it was placed: a day of universal time, or 2030-03-01T09:00:00+01:00 ¦ 2026-03-01T09:00:00+01:00
updated_at ¦ When it changed last; where the column is there, every order needs it ¦ 2026-03-01T09:05:00+01:00
currency * ¦ Of all amounts, as ISO 4217 has it ¦ USD
total * ¦ What the order comes to: goods - discounts + shipping + tax ¦ 94.70
discount ¦ Off the whole order ¦ 3.00
discount_name ¦ What the customer knows it by ¦ SPRING
tax ¦ On the order as a whole ¦
tax_name ¦ What it is called ¦
tax_included ¦ true: taxes are a part of the prices already ¦
shipping_price ¦ What the shipping costs ¦ 5.00
shipping_method ¦ The code of a shipping method ¦ standard
shipping_title ¦ What the customer knows it by ¦ Standard, 3 to 5 days
customer_email * ¦ Who buys ¦ ada@example.com
customer_name * ¦ The name ¦ Ada Lovelace
ship_to ¦ Who receives it, where that is somebody else ¦
company ¦ Of the address ¦
line1 * ¦ Street and number ¦ 1 Quay
line2 ¦ More of them ¦
city * ¦ The city ¦ Portsea
region ¦ State or province ¦
postal_code ¦ The postal code ¦ 12345
country * ¦ Two letters, as ISO 3166-1 has them ¦ US
phone ¦ For the carrier ¦
sku * ¦ The variant's key ¦ SCARF-RED
title ¦ What it was sold as ¦ Wool scarf, red
quantity * ¦ How many ¦ 2
unit_price * ¦ What one costs ¦ 29.90
line_discount ¦ Off all of this line ¦
line_tax ¦ On all of this line ¦
"""
_CUSTOMERS = """
email * ¦ The customer, however it is written ¦ ada@example.com
name ¦ The name ¦ Ada Lovelace
phone ¦ A telephone number ¦ +44 20 7946 0000
customer_group ¦ The group they buy in, as price lists name it ¦ trade
notes ¦ What you want to remember of them ¦ Delivers to the back door
company ¦ Of the default shipping address ¦
line1 ¦ Street and number; an address has line1, city and country, or none of them ¦ 1 Quay
line2 ¦ More of them ¦
city ¦ The city ¦ Portsea
region ¦ State or province ¦
postal_code ¦ The postal code ¦ 12345
country ¦ Two letters, as ISO 3166-1 has them ¦ US
ship_to ¦ Who receives there, where that is somebody else ¦
address_phone ¦ A number for the carrier ¦
"""
_SUPPLIERS = """
code * ¦ The supplier's key ¦ skerry
name ¦ What it is called; a new one needs it ¦ Skerry Looms
contact_name ¦ Whom you speak to ¦ Grace Hopper
contact_email ¦ Where mails go ¦ orders@skerry-looms.example
contact_phone ¦ A telephone number ¦
currency ¦ The one you buy in; a new one needs it ¦ USD
lead_time_days ¦ Days from order to arrival ¦ 14
is_active ¦ true or false ¦ true
"""
_LINKS = """
supplier * ¦ The code of a supplier that is known ¦ skerry
sku * ¦ The variant's key ¦ SCARF-RED
supplier_sku ¦ What the supplier calls it ¦ SL-100-R
cost ¦ What one costs you ¦ 12.00
currency ¦ Of the cost; the supplier's where it is empty ¦ USD
pack_size ¦ How many come together ¦ 6
minimum_quantity ¦ The fewest that are ordered ¦ 12
lead_time_days ¦ Days from order to arrival, where they differ from the supplier's ¦
is_primary ¦ true: it takes the place of the SKU's primary link ¦ true
"""
# What is said of an order need not be said again in its other rows.
MORE: Mapping[str, Sequence[Mapping[str, str]]] = {
    "orders": [{"external_id": "5001", "sku": "SCARF-BLUE", "quantity": "1", "unit_price": "32.90"}],
    "channel-content": [{"shop": "main", "handle": "wool-scarf", "sku": "SCARF-RED", "list price": "39.90"}],
}
TABLES = {
    "prices": _PRICES,
    "variants": _VARIANTS,
    "categories": _CATEGORIES,
    "channel-content": _CONTENT,
    "stock": _STOCK,
    "customers": _CUSTOMERS,
    "suppliers": _SUPPLIERS,
    "supplier-links": _LINKS,
    "orders": _ORDERS,
}
