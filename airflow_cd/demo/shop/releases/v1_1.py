"""Release 1.1: recommendations on product pages, a friendlier home page, clearer messages. A good release."""

from __future__ import annotations

import logging

from airflow_cd.demo.shop.releases import v1_0
from airflow_cd.demo.shop.stock import PRODUCTS, Product
from airflow_cd.demo.shop.web import Request, Response

_checkout = logging.getLogger("shop.checkout")
_recommendations = logging.getLogger("shop.recommendations")


class Shop(v1_0.Shop):
    """The shop with recommendations."""

    def home(self, request: Request) -> Response:
        """The first page, with what is popular."""
        before = super().home(request)
        popular = ", ".join(product.name for product in list(PRODUCTS.values())[:3])
        return Response("Welcome to the shop", (*before.paragraphs, f"Popular now: {popular}"))

    def product(self, request: Request) -> Response:
        """One product, and what others bought with it."""
        page = super().product(request)
        if page.status != 200:
            return page
        others = [product.name for product in PRODUCTS.values() if product.number != request.item][:2]
        _recommendations.info("%d recommendations for product %s", len(others), request.item)
        return Response(page.title, (*page.paragraphs, f"Customers also bought: {', '.join(others)}"))

    def log_order(self, order: int, product: Product) -> None:
        """Say that an order was placed, and how it was paid."""
        _checkout.info("order %d placed: %s EUR, paid by card", order, product.price)
