"""Records as real runtimes write them."""

from __future__ import annotations

PYTHON = """2026-11-23T08:00:00.123Z ERROR shop.checkout - payment 12 failed
Traceback (most recent call last):
  File "/srv/shop/checkout.py", line 42, in pay
    charge(order)
  File "/srv/shop/charge2.py", line 7, in charge
    raise ValueError("12")
ValueError: 12

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/usr/lib/python3.11/contextlib.py", line 81, in inner
    return func(*args)
  File "/srv/shop/checkout.py", line 44, in pay
    raise PaymentError(order) from error
shop.errors.PaymentError: no 12"""

JAVA = """2026-11-23 08:00:00,123 ERROR [http-1] request 991 failed: java.lang.IllegalStateException: x
\tat com.shop.Cart$1.run(Cart.java:12)
\tat com.shop.Cart.lambda$main$0(Cart.java:14)
\tat java.base/java.lang.Thread.run(Thread.java:833)
Caused by: java.io.IOException: y
\tat org.springframework.Db.call(Db.java:3)
\tat com.shop.Db.read(Db.java:9)
\t... 3 more"""

NODE = """TypeError: Cannot read properties of undefined (reading 'x')
    at getCart (/app/src/cart.js:10:5)
    at Layer.handle [as handle_request] (/app/node_modules/express/lib/router/layer.js:95:5)"""

DOTNET = """fail: System.NullReferenceException: Object reference not set
   at Shop.Cart.Add(Item item) in C:\\src\\Cart.cs:line 12
   at Microsoft.AspNetCore.Mvc.Call(Object o)"""

GO = """panic: runtime error: index out of range [3] with length 2

goroutine 7 [running]:
main.(*Cart).add(0xc000, 0x1)
\t/app/main.go:12 +0x1d
main.main()
\t/app/main.go:20 +0x2"""

TRACES = {"python": PYTHON, "java": JAVA, "node": NODE, "dotnet": DOTNET, "go": GO}


def python_trace(kind: str, function: str, *, module: str = "gift", order: int = 1, line: int = 10) -> str:
    """A record with a traceback, as the shop logs it."""
    return (
        f"2026-11-23T08:00:00.123Z ERROR shop.{module} - request {order} failed\n"
        "Traceback (most recent call last):\n"
        f'  File "/srv/shop/app.py", line {line}, in handle\n'
        "    return answer(request)\n"
        f'  File "/srv/shop/{module}.py", line {line + 3}, in {function}\n'
        "    return rows[0]\n"
        f"{kind}: order {order}"
    )
