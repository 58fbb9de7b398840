"""Charges as rows of FOCUS 1.2, the FinOps Foundation's open cost and usage specification."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import BinaryIO, Literal

Kind = Literal["decimal", "moment", "text"]
Value = Decimal | datetime | str | None

VENDOR = "Cognition"
SERVICE = "Devin"
UNIT = "ACUs"
PRECISION = 60
"""Digits of a product, of a quantity's at most 17 and a price's as many as somebody sets."""

COLUMNS: Mapping[str, Kind] = {
    "BilledCost": "decimal",
    "BillingAccountId": "text",
    "BillingAccountName": "text",
    "BillingCurrency": "text",
    "BillingPeriodEnd": "moment",
    "BillingPeriodStart": "moment",
    "ChargeCategory": "text",
    "ChargeClass": "text",
    "ChargeDescription": "text",
    "ChargeFrequency": "text",
    "ChargePeriodEnd": "moment",
    "ChargePeriodStart": "moment",
    "ConsumedQuantity": "decimal",
    "ConsumedUnit": "text",
    "ContractedCost": "decimal",
    "ContractedUnitPrice": "decimal",
    "EffectiveCost": "decimal",
    "InvoiceId": "text",
    "InvoiceIssuerName": "text",
    "ListCost": "decimal",
    "ListUnitPrice": "decimal",
    "PricingCategory": "text",
    "PricingQuantity": "decimal",
    "PricingUnit": "text",
    "ProviderName": "text",
    "PublisherName": "text",
    "ServiceCategory": "text",
    "ServiceName": "text",
    "ServiceSubcategory": "text",
    "SkuId": "text",
    "SkuMeter": "text",
    "SkuPriceId": "text",
    "SubAccountId": "text",
    "SubAccountName": "text",
    "SubAccountType": "text",
    "Tags": "text",
}
"""All that are mandatory, and those that apply to a price per unit of use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The use of one product on one day by one payer, at the price of that day.

    Attributes:
        day: start and end of the day (Unix seconds).
        billing_period: start and end of the cycle that holds it (Unix seconds).
        account: the id of the billing account.
        quantity: ACUs; negative where the vendor has corrected a day.
        price: of one ACU, in `currency`.
        organization: its id and name; None for use of no organization.
        tags: what else is known of the payer.
    """

    day: tuple[float, float]
    billing_period: tuple[float, float]
    account: str
    product: str
    quantity: Decimal
    price: Decimal
    currency: str
    organization: tuple[str, str] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def row(charge: Charge) -> Mapping[str, Value]:
    """The columns of a charge. The price is the only one known: list, contract and bill agree."""
    with localcontext(prec=PRECISION):
        cost = charge.quantity * charge.price
    org_id, org_name = charge.organization or (None, None)
    return {
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost),
        **dict.fromkeys(("ContractedUnitPrice", "ListUnitPrice"), charge.price),
        **dict.fromkeys(("ConsumedQuantity", "PricingQuantity"), charge.quantity),
        **dict.fromkeys(("ConsumedUnit", "PricingUnit", "SkuMeter"), UNIT),
        **dict.fromkeys(("InvoiceIssuerName", "ProviderName", "PublisherName"), VENDOR),
        **dict.fromkeys(("SkuId", "SkuPriceId"), charge.product),
        "BillingAccountId": charge.account,
        "BillingCurrency": charge.currency,
        "BillingPeriodStart": _moment(charge.billing_period[0]),
        "BillingPeriodEnd": _moment(charge.billing_period[1]),
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{UNIT} of {charge.product}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": _moment(charge.day[0]),
        "ChargePeriodEnd": _moment(charge.day[1]),
        "PricingCategory": "Standard",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": SERVICE,
        "ServiceSubcategory": "Generative AI",
        "SubAccountId": org_id,
        "SubAccountName": org_name,
        "SubAccountType": "Organization" if org_id else None,
        "Tags": json.dumps(dict(charge.tags), ensure_ascii=False) if charge.tags else None,
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def write_csv(charges: Iterable[Charge], into: BinaryIO) -> int:
    """Write charges as CSV, a row at a time; returns their number. Null is an empty field."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")

    def flush(fields: Iterable[str]) -> None:
        writer.writerow(fields)
        into.write(line.getvalue().encode("utf-8", errors="replace"))
        line.seek(0)
        line.truncate()

    flush(COLUMNS)
    number = 0
    for number, charge in enumerate(charges, start=1):  # noqa: B007 - returned
        values = row(charge)
        flush(_text(values.get(name)) for name in COLUMNS)
    return number


def _text(value: Value) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value or ""
