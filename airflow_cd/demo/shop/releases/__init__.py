"""The releases of the shop, one module each; every one builds on the release before it, as releases do."""
