"""oneprice: finds the places where one asset has two prices, trades them as one package, proves every cent."""

__version__ = "0.1.0"
