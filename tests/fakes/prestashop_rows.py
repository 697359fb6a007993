"""What rows of a PrestaShop shop are made of: names and first values, as 8.2.1 gives them to `display=full`."""

import copy
from typing import Any

Row = dict[str, Any]
LANGUAGES = (1, 2)
NO_TIME = "0000-00-00 00:00:00"

# Names with their first values; those with `*` are texts of each language, those with `+` lists of ids.
_NAMES = {
    "products": """id_manufacturer=0 id_supplier=0 id_category_default=0 new=null cache_default_attribute=0
        id_default_image= id_default_combination=0 id_tax_rules_group=0 position_in_category=0 manufacturer_name=
        quantity=0 type=simple id_shop_default=1 reference= supplier_reference= location= width=0.000000
        height=0.000000 depth=0.000000 weight=0.000000 quantity_discount=0 ean13= isbn= upc= mpn= cache_is_pack=0
        cache_has_attachments=0 is_virtual=0 state=0 additional_delivery_times=1 delivery_in_stock* delivery_out_stock*
        product_type= on_sale=0 online_only=0 ecotax=0.000000 minimal_quantity=1 low_stock_threshold=0
        low_stock_alert=0 price=0.000000 wholesale_price=0.000000 unity= unit_price=0.000000 unit_price_ratio=0.000000
        additional_shipping_cost=0.000000 customizable=0 text_fields=0 uploadable_files=0 active=0 redirect_type=
        id_type_redirected=0 available_for_order=0 available_date=0000-00-00 show_condition=0 condition=new show_price=0
        indexed=0 visibility=both advanced_stock_management=0 date_add= date_upd= pack_stock_type=3 meta_description*
        meta_keywords* meta_title* link_rewrite* name* description* description_short* available_now* available_later*
        categories+ images+ combinations+ product_option_values+ product_features+ tags+ stock_availables+""",
    "combinations": """id_product=0 ean13= isbn= upc= mpn= reference= supplier_reference= wholesale_price=0.000000
        price=0.000000 ecotax=0.000000 weight=0.000000 unit_price_impact=0.000000 minimal_quantity=1
        low_stock_threshold=0 low_stock_alert=0 default_on= available_date=0000-00-00 available_now* available_later*
        product_option_values+ images+""",
    "stock_availables": """id_product=0 id_product_attribute=0 id_shop=1 id_shop_group=0 quantity=0 depends_on_stock=0
        out_of_stock=2 location=""",
    "orders": """id_address_delivery=0 id_address_invoice=0 id_cart=0 id_currency=1 id_lang=1 id_customer=0 id_carrier=2
        current_state=0 module=ps_checkpayment invoice_number=0 invoice_date=0 delivery_number=0 delivery_date=0 valid=0
        date_add= date_upd= shipping_number= note= id_shop_group=1 id_shop=1 secure_key= payment=check recyclable=0
        gift=0 gift_message= mobile_theme=0 total_discounts=0.000000 total_discounts_tax_incl=0.000000
        total_discounts_tax_excl=0.000000 total_paid=0.000000 total_paid_tax_incl=0.000000 total_paid_tax_excl=0.000000
        total_paid_real=0.000000 total_products=0.000000 total_products_wt=0.000000 total_shipping=0.000000
        total_shipping_tax_incl=0.000000 total_shipping_tax_excl=0.000000 carrier_tax_rate=0.000 total_wrapping=0.000000
        total_wrapping_tax_incl=0.000000 total_wrapping_tax_excl=0.000000 round_mode=0 round_type=0
        conversion_rate=1.000000 reference= order_rows+""",
    "order_carriers": """id_order=0 id_carrier=0 id_order_invoice=0 weight=0.000000 shipping_cost_tax_excl=0.000000
        shipping_cost_tax_incl=0.000000 tracking_number= date_add=""",
    "order_histories": "id_employee=0 id_order_state=0 id_order=0 date_add=",
    "order_states": """unremovable=0 delivery=0 hidden=0 send_email=0 module_name= invoice=0 color= logable=0 shipped=0
        paid=0 pdf_delivery=0 pdf_invoice=0 deleted=0 name* template*""",
    "customers": "lastname= firstname= email= passwd=SECRET active=1 deleted=0 date_add= date_upd=",
    "addresses": """id_customer=0 id_manufacturer=0 id_supplier=0 id_warehouse=0 id_country=0 id_state=0 alias= company=
        lastname= firstname= vat_number= address1= address2= postcode= city= other= phone= phone_mobile= dni= deleted=0
        date_add= date_upd=""",
    "suppliers": """link_rewrite= name= active=0 date_add= date_upd= description* meta_title* meta_description*
        meta_keywords*""",
    "product_suppliers": """id_product=0 id_product_attribute=0 id_supplier=0 id_currency=0 product_supplier_reference=
        product_supplier_price_te=0.000000""",
    "manufacturers": "active=0 link_rewrite= name= date_add= date_upd= description* short_description* meta_title*",
    "categories": """id_parent=0 level_depth=0 nb_products_recursive=0 active=1 id_shop_default=1 is_root_category=0
        position=0 date_add= date_upd= name* link_rewrite* description*""",
    "tags": "id_lang=0 name=",
    "product_options": "is_color_group=0 group_type= position=0 name* public_name* product_option_values+",
    "product_option_values": "id_attribute_group=0 color= position=0 name*",
    "configurations": "value= name= id_shop_group= id_shop= date_add= date_upd=",
    "currencies": """names* name= symbol* iso_code= numeric_iso_code= precision=2 conversion_rate=1.000000 deleted=0
        active=1 unofficial=0 modified=0 pattern*""",
    "countries": "id_zone=1 id_currency=0 call_prefix=0 iso_code= active=1 name*",
    "states": "id_zone=1 id_country=0 iso_code= name= active=1",
}


def _names(resource: str) -> list[str]:
    return _NAMES[resource].split()


def resources() -> list[str]:
    return list(_NAMES)


def translated(resource: str) -> list[str]:
    """Names of what is there in each language."""
    return [name[:-1] for name in _names(resource) if name.endswith("*")]


def lists(resource: str) -> list[str]:
    """Names of associations."""
    return [name[:-1] for name in _names(resource) if name.endswith("+")]


def plain(resource: str) -> dict[str, str | None]:
    """Names of what is neither, with first values."""
    pairs = [name.partition("=") for name in _names(resource) if "=" in name]
    return {name: None if value == "null" else value for name, _, value in pairs}


def fields(resource: str) -> list[str]:
    """Names of all that is no association, as `display` takes them."""
    return ["id", *plain(resource), *translated(resource)]


def blank(resource: str) -> Row:
    """A row with nothing in it."""
    row: Row = {**plain(resource), **{name: dict.fromkeys(LANGUAGES, "") for name in translated(resource)}}
    return copy.deepcopy(row | {name: [] for name in lists(resource)})
