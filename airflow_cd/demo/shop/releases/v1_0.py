"""Release 1.0: the shop as it went live."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from airflow_cd.demo.shop.stock import PRODUCTS, Database, Inventory, Product
from airflow_cd.demo.shop.web import Request, Response

_basket = logging.getLogger("shop.basket")
_catalogue = logging.getLogger("shop.catalogue")
_checkout = logging.getLogger("shop.checkout")
_gift_cards = logging.getLogger("shop.gift_cards")
_inventory = logging.getLogger("shop.inventory")
_newsletter = logging.getLogger("shop.newsletter")
_returns = logging.getLogger("shop.returns")
_shipping = logging.getLogger("shop.shipping")

CUSTOMERS = ("Maria Lindgren", "Jean Petit", "Łukasz Nowak", "Aoife Byrne")
DECLINED_CARD = "4000000000000002"
REFUND_FEES = {"damaged": Decimal(0), "wrong_item": Decimal(0)}
STANDARD_REFUND_FEE = Decimal("4.90")

Page = Callable[[Request], Response]


class QuerySyntaxError(ValueError):
    """A search that cannot be read; the search page does not expect it."""


class CarrierUnavailable(RuntimeError):
    """The carrier gives no quote."""


class Shop:
    """The shop's pages.

    :param instance: name of the instance; seeds what is random.
    :param configuration: ``inventory_timeout_ms`` (how long to wait for the inventory service), ``page_size``
        (products on a catalogue page), ``banner`` (a line on the home page). Other keys are nothing to it.
    """

    def __init__(self, instance: str, configuration: Mapping[str, Any]) -> None:
        self.page_size = int(configuration.get("page_size", 6))
        self.banner = str(configuration.get("banner", ""))
        self.database = Database(instance)
        self.inventory = Inventory(self.database, float(configuration.get("inventory_timeout_ms", 2000)) / 1000)
        self._pages: dict[tuple[str, str], Page] = {
            ("GET", ""): self.home,
            ("GET", "catalogue"): self.catalogue,
            ("GET", "product"): self.product,
            ("GET", "search"): self.search,
            ("POST", "basket"): self.basket,
            ("POST", "checkout"): self.checkout,
            ("GET", "shipping"): self.shipping_quote,
            ("POST", "login"): self.login,
            ("POST", "newsletter"): self.newsletter,
            ("POST", "gift-card"): self.gift_card,
            ("POST", "return"): self.returns,
            ("GET", "wish-list"): self.wish_list,
            ("GET", "admin"): self.admin_export,
        }

    def find(self, request: Request) -> tuple[str, Page]:
        """The transaction's name and the page that answers a request."""
        page = self._pages.get((request.method, request.page), self.not_found)
        return page.__name__, page

    def not_found(self, request: Request) -> Response:
        """There is no such page."""
        return Response("Not found", (f"There is no page {request.page}.",), status=404)

    def home(self, request: Request) -> Response:
        """The first page."""
        self.database.ask(2)
        return Response("The shop", tuple(text for text in (self.banner, "Furniture and things for the home.") if text))

    def catalogue(self, request: Request) -> Response:
        """A page of products."""
        self.database.ask(3)
        products = list(PRODUCTS.values())[: self.page_size]
        return Response("Catalogue", tuple(f"{product.name}: {product.price} EUR" for product in products))

    def product(self, request: Request) -> Response:
        """One product, its price and whether it can be had."""
        self.database.ask(2)
        product = PRODUCTS.get(request.item)
        if product is None:
            return Response("Not found", ("We do not sell that.",), status=404)
        if product.number == "poster-009":
            _catalogue.warning("picture of %s is missing, showing the placeholder", product.number)
        return Response(product.name, (f"{product.price} EUR", self.availability(product)))

    def availability(self, product: Product) -> str:
        """A sentence on the stock, which may be unknown."""
        try:
            return f"{self.inventory.stock(product.number)} in stock"
        except TimeoutError:
            _inventory.exception("no stock for product %s from the inventory service", product.number)
            return "Availability on request"

    def search(self, request: Request) -> Response:
        """Products by words; quoted words are a phrase."""
        self.database.ask(3)
        words = request.query.get("q", "")
        if words.count('"') % 2:
            raise QuerySyntaxError(f"unbalanced quotation mark at position {words.rindex(chr(34))}")
        wanted = words.replace('"', "").lower()
        found = [product.name for product in PRODUCTS.values() if wanted in product.name.lower()]
        return Response(f"{len(found)} found", tuple(found))

    def basket(self, request: Request) -> Response:
        """Put a product into the basket."""
        self.database.ask(2)
        product = PRODUCTS[request.form["product"]]
        available = self.inventory.stock(product.number)
        pieces = min(int(request.form.get("pieces", 1)), available)
        _basket.info("basket %d: %d pieces of %s added", self.database.number(), pieces, product.number)
        return Response("Your basket", (f"{pieces} × {product.name}", f"{pieces * product.price} EUR"))

    def checkout(self, request: Request) -> Response:
        """Pay for the basket."""
        self.database.ask(4)
        order, product = self.database.number(), PRODUCTS[request.form["product"]]
        self.inventory.stock(product.number)
        self.database.wait(0.004)
        if request.form.get("card") == DECLINED_CARD:
            _checkout.warning("card declined for order %d: insufficient funds", order)
            return Response("Payment declined", ("Please use another card.",), status=402)
        self.log_order(order, product)
        return Response("Thank you", (f"Your order has the number {order}.",))

    def log_order(self, order: int, product: Product) -> None:
        """Say that an order was placed."""
        _checkout.info("order %d placed: %s EUR", order, product.price)

    def shipping_quote(self, request: Request) -> Response:
        """What it costs to send a parcel to a postcode."""
        self.database.ask(2)
        parcel = self.database.number()
        try:
            price = self.carrier_price(request.query.get("postcode", ""))
        except CarrierUnavailable:
            _shipping.exception("no quote for parcel %d, using the table of rates", parcel)
            price = Decimal("12.90")
        return Response("Shipping", (f"{price} EUR",))

    def carrier_price(self, postcode: str) -> Decimal:
        """Ask the carrier, whose line to the islands is known to break."""
        try:
            if postcode.startswith("IS"):
                raise ConnectionResetError("the carrier closed the connection")
        except ConnectionResetError as error:
            raise CarrierUnavailable(f"no answer for postcode {postcode}") from error
        return Decimal("6.90")

    def login(self, request: Request) -> Response:
        """Sign a customer in."""
        self.database.ask(2)
        return Response("Welcome back", (f"You are signed in as {request.form.get('customer', 'guest')}.",))

    def newsletter(self, request: Request) -> Response:
        """Subscribe to the newsletter."""
        self.database.ask()
        _newsletter.info("subscriber %d added to the newsletter", self.database.number())
        return Response("Thank you", ("You will hear from us.",))

    def gift_card(self, request: Request) -> Response:
        """Redeem a gift card; customers write the amount as they are used to, 25.00 or 25,00."""
        self.database.ask(2)
        _gift_cards.info("gift card %d was presented", self.database.number())
        amount = Decimal(str(request.form.get("amount", "0")).replace(",", "."))
        return Response("Gift card", (f"{amount} EUR were added to your balance.",))

    def returns(self, request: Request) -> Response:
        """Send something back."""
        self.database.ask(2)
        fee = REFUND_FEES.get(str(request.form.get("reason")), STANDARD_REFUND_FEE)
        _returns.info("return %d registered, fee %s EUR", self.database.number(), fee)
        return Response("Your return", (f"The fee is {fee} EUR.",))

    def wish_list(self, request: Request) -> Response:
        """A wish list, which needs no owner: guests have them too."""
        self.database.ask(2)
        return Response("Wish list", tuple(product.name for product in list(PRODUCTS.values())[:3]))

    def admin_export(self, request: Request) -> Response:
        """Customers as CSV, for the back office."""
        self.database.ask(4)
        lines = "".join(f"{number};{name}\n" for number, name in enumerate(CUSTOMERS, 1))
        return Response("export", content=lines.encode("utf-8"), content_type="text/csv; charset=utf-8")
