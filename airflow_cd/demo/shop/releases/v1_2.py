"""Release 1.2: small improvements to four pages that few people open, each of them with a mistake.

Every one of the four notices that something failed, logs the exception and falls back to something the customer can
live with. So nobody gets an error page and nothing becomes slower: only the log tells.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from airflow_cd.demo.shop.releases import v1_0, v1_1
from airflow_cd.demo.shop.stock import PRODUCTS
from airflow_cd.demo.shop.web import Request, Response

_admin = logging.getLogger("shop.admin")
_gift_cards = logging.getLogger("shop.gift_cards")
_returns = logging.getLogger("shop.returns")
_wish_lists = logging.getLogger("shop.wish_lists")

REFUND_FEES = {"damaged": Decimal(0), "wrong_item": Decimal(0), "too_late": Decimal("9.90")}


@dataclass(frozen=True)
class Owner:
    """Whose wish list it is."""

    name: str


OWNERS = {str(number): Owner(name) for number, name in enumerate(v1_0.CUSTOMERS, 1)}


class Shop(v1_1.Shop):
    """The shop with gift cards of any amount, fees by reason, named wish lists and an export for old spreadsheets."""

    def gift_card(self, request: Request) -> Response:
        """Redeem a gift card."""
        self.database.ask(2)
        number = self.database.number()
        _gift_cards.info("gift card %d was presented", number)
        try:
            amount = self.parse_amount(str(request.form.get("amount", "0")))
        except InvalidOperation:
            _gift_cards.exception("gift card %d cannot be redeemed, asking the customer to come back", number)
            return Response("Gift card", ("Please try again later.",))
        return Response("Gift card", (f"{amount} EUR were added to your balance.",))

    def parse_amount(self, text: str) -> Decimal:
        """The amount, to the cent."""
        return Decimal(text.strip()).quantize(Decimal("0.01"))

    def returns(self, request: Request) -> Response:
        """Send something back."""
        self.database.ask(2)
        number = self.database.number()
        try:
            fee = self.refund_fee(str(request.form.get("reason")))
        except KeyError:
            _returns.exception("no fee known for return %d, charging none", number)
            fee = Decimal(0)
        _returns.info("return %d registered, fee %s EUR", number, fee)
        return Response("Your return", (f"The fee is {fee} EUR.",))

    def refund_fee(self, reason: str) -> Decimal:
        """The fee for a reason."""
        return REFUND_FEES[reason]

    def wish_list(self, request: Request) -> Response:
        """A wish list under its owner's name."""
        self.database.ask(2)
        try:
            title = self.wish_list_title(request.query.get("owner", ""))
        except AttributeError:
            _wish_lists.exception("wish list %d is shown without a title", self.database.number())
            title = "Wish list"
        return Response(title, tuple(product.name for product in list(PRODUCTS.values())[:3]))

    def wish_list_title(self, owner: str) -> str:
        """The list's title."""
        customer: Any = OWNERS.get(owner)
        return f"{customer.name}'s wish list"

    def admin_export(self, request: Request) -> Response:
        """Customers as CSV, for the back office."""
        self.database.ask(4)
        lines = "".join(f"{number};{name}\n" for number, name in enumerate(v1_0.CUSTOMERS, 1))
        try:
            content = self.encode_export(lines)
        except UnicodeEncodeError:
            _admin.exception("export %d is not fit for old spreadsheets, sending UTF-8", self.database.number())
            content = lines.encode()
        return Response("export", content=content, content_type="text/csv")

    def encode_export(self, lines: str) -> bytes:
        """The export as old spreadsheets want it."""
        return lines.encode("latin-1")
