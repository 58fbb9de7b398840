"""What FOCUS 1.2 demands of a row of use: presence, nulls, forms, and relations."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

Row = Mapping[str, str]

MANDATORY = {
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency"),
    *("BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass"),
    *("ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost"),
    *("EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit"),
    *("ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
}
NOT_NULL_OF_USE = (MANDATORY - {"BillingAccountName", "ChargeClass"}) | {
    *("ChargeFrequency", "ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice"),
    *("ListUnitPrice", "PricingCategory", "ServiceSubcategory", "SkuId", "SkuPriceId"),
}
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(E-?[0-9]+)?")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
CURRENCY = re.compile(r"[A-Z]{3}")
FORMS = {
    **dict.fromkeys(("Cost", "Quantity", "UnitPrice"), NUMBER),
    **dict.fromkeys(("PeriodStart", "PeriodEnd"), MOMENT),
    "Currency": CURRENCY,
}
"""By the end of a column's name."""
WORDS = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {"AI and Machine Learning"},
    "ServiceSubcategory": {"AI Platforms", "Generative AI", "Other (AI and Machine Learning)"},
}
TOGETHER = (
    ("SubAccountId", "SubAccountName"),
    ("SubAccountId", "SubAccountType"),
    ("ConsumedQuantity", "ConsumedUnit"),
    ("PricingQuantity", "PricingUnit"),
)


def wrong_columns(names: list[str]) -> list[str]:
    """Names that are missing, stand twice, or break the rules of names."""
    twice = [name for name in names if names.count(name) > 1]
    odd = [name for name in names if not re.fullmatch(r"(x_)?[A-Z][A-Za-z0-9]{0,49}", name)]
    return [*sorted(MANDATORY - set(names)), *twice, *odd]


def wrong_in(row: Row) -> Iterator[str]:
    """The columns of a row that break a rule."""
    for name, value in row.items():
        if not value and name in NOT_NULL_OF_USE:
            yield f"{name} is null"
        if value and value.isspace():
            yield f"{name} is blank"
        for end, form in FORMS.items():
            if value and name.endswith(end) and not form.fullmatch(value):
                yield f"{name} has the form of {value!r}"
        if value and value not in WORDS.get(name, {value}):
            yield f"{name} is {value!r}"
    yield from (f"{a} without {b}" for a, b in TOGETHER if bool(row[a]) != bool(row[b]))
    yield from (name for name, holds in RELATIONS.items() if not holds(row))
    yield from wrong_tags(row["Tags"])


def wrong_tags(tags: str) -> Iterator[str]:
    """What of the tags is no object of plain values."""
    told = json.loads(tags) if tags else {}
    if not isinstance(told, dict) or (tags and not told):
        yield "Tags"
    yield from (key for key, value in told.items() if isinstance(value, (dict, list)))


def _product(price: str, cost: str) -> Callable[[Row], bool]:
    def holds(row: Row) -> bool:
        product = Decimal(row[price]) * Decimal(row["PricingQuantity"])
        return abs(product - Decimal(row[cost])) < Decimal("1e-15")

    return holds


def _moment(row: Row, name: str) -> datetime:
    return datetime.fromisoformat(row[name])


RELATIONS: Mapping[str, Callable[[Row], bool]] = {
    "list price times quantity": _product("ListUnitPrice", "ListCost"),
    "contracted price times quantity": _product("ContractedUnitPrice", "ContractedCost"),
    "prices are not negative": lambda row: Decimal(row["ListUnitPrice"]) >= 0,
    "the day ends after it starts": lambda row: (
        _moment(row, "ChargePeriodStart") < _moment(row, "ChargePeriodEnd")
    ),
    "the day is in its billing period": lambda row: (
        _moment(row, "BillingPeriodStart") <= _moment(row, "ChargePeriodStart")
        and _moment(row, "ChargePeriodEnd") <= _moment(row, "BillingPeriodEnd")
    ),
}
