"""What is traded: instruments, their fees, and the LEG records an engine starts from.

Ticks, lots and rates are written as decimals and become exact integers or are refused; nothing here rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.money import MONEY_MAX
from oneprice.core.records import INVERSE, LEG, LINEAR, NO_PRICE, NO_SHORT, OPEN

SCALE_FIRST, SCALE_LAST = 8, 16
CONTRACTS = {"linear": LINEAR, "inverse": INVERSE}
Number = str | int | float


class Fees(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a fill costs. Rates in basis points of the fill's value; negative is a rebate.

    `maker_bp` and `taker_bp` have no default: write 0 where trading is free. `per_lot` is in settlement
    currency.
    """

    maker_bp: Number
    taker_bp: Number
    per_lot: Number = 0
    buy_tax_bp: Number = 0
    sell_tax_bp: Number = 0

    def __post_init__(self) -> None:
        for name in ("maker_bp", "taker_bp", "buy_tax_bp", "sell_tax_bp"):
            rate_e9(getattr(self, name), f"fees.{name}")
        exact(self.per_lot, "fees.per_lot")
        for name in ("buy_tax_bp", "sell_tax_bp"):
            if exact(getattr(self, name), f"fees.{name}") < 0:
                raise ConfigError(f"fees.{name}: expected a tax of 0 or more, got {getattr(self, name)}")


class Instrument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tradeable line on one venue.

    `symbol` is `venue:name`; `venue` may be left out then. `currency` is what it settles in: the quote
    currency of a linear contract, the underlying of an inverse one, unless said otherwise. A lot at price p
    is worth `p * lot * multiplier` of the quote currency (linear), or `lot * multiplier` of the quote
    currency whatever the price (inverse). Raises ConfigError for values that cannot be.
    """

    symbol: str
    underlying: str
    quote: str
    tick: Number  # quote currency
    lot: Number  # underlying units (linear) or contract value in quote currency (inverse)
    venue: str = ""
    currency: str = ""
    contract: str = "linear"
    multiplier: Number = "1"
    min_lots: int = 1
    lot_step: int = 1
    min_notional: Number = "0"  # settlement currency
    fees: Fees | None = None
    expiry_ns: int = 0
    session: tuple[tuple[int, int], ...] = ()  # (open, close) minutes UTC; empty: always open
    stale_ns: int = 2_000_000_000
    allow_short: bool = True
    assumed_depth_lots: int = 0  # for tapes without sizes
    settle_days: int = 0  # 1: bought on a trading day (from the first session's open), not sold before the next
    book_log2: int = 0  # dense book window, 2^8 to 2^24 ticks; 0: top of book only

    def __post_init__(self) -> None:
        where = f"instrument {self.symbol!r}"
        if self.contract not in CONTRACTS:
            raise ConfigError(f"{where}: contract: expected 'linear' or 'inverse', got {self.contract!r}")
        if not self.venue:
            if ":" not in self.symbol:
                raise ConfigError(f"{where}: expected a symbol like 'venue:NAME' or a venue, got neither")
            msgspec.structs.force_setattr(self, "venue", self.symbol.split(":", 1)[0])
        if not self.currency:
            settle = self.quote if self.contract == "linear" else self.underlying
            msgspec.structs.force_setattr(self, "currency", settle)
        _check_names(self, where)
        _check_numbers(self, where)


def _check_names(one: Instrument, where: str) -> None:
    for name in ("symbol", "venue", "underlying", "quote", "currency"):
        if not getattr(one, name).strip():
            raise ConfigError(f"{where}: {name}: expected a name, got {getattr(one, name)!r}")
    if one.contract == "linear" and one.currency != one.quote:
        raise ConfigError(
            f"{where}: a linear contract settles in its quote currency {one.quote!r}, got"
            f" {one.currency!r} (quanto contracts are not supported)"
        )
    if one.contract == "inverse" and one.currency == one.quote:
        raise ConfigError(
            f"{where}: an inverse contract settles in the underlying, got the quote {one.quote!r}"
        )


def _check_numbers(one: Instrument, where: str) -> None:
    for name in ("tick", "lot", "multiplier"):
        if exact(getattr(one, name), f"{where}: {name}") <= 0:
            raise ConfigError(f"{where}: {name}: expected more than 0, got {getattr(one, name)}")
    if exact(one.min_notional, f"{where}: min_notional") < 0:
        raise ConfigError(f"{where}: min_notional: expected 0 or more, got {one.min_notional}")
    for name, least in (
        ("min_lots", 1),
        ("lot_step", 1),
        ("expiry_ns", 0),
        ("stale_ns", 1),
        ("assumed_depth_lots", 0),
    ):
        if getattr(one, name) < least:
            raise ConfigError(f"{where}: {name}: expected {least} or more, got {getattr(one, name)}")
    if one.book_log2 != 0 and not 8 <= one.book_log2 <= 24:
        raise ConfigError(
            f"{where}: book_log2: expected 0 (top of book only) or 8 to 24, got {one.book_log2}"
        )
    if one.settle_days not in (0, 1):
        raise ConfigError(f"{where}: settle_days: expected 0 or 1 (sold the next trading day), got {one.settle_days}")
    for span in one.session:
        if len(span) != 2 or not 0 <= span[0] < 1440 or not span[0] < span[1] <= span[0] + 1440:
            raise ConfigError(
                f"{where}: session: expected (open, close) minutes UTC with 0 <= open < 1440 and"
                f" open < close <= open + 1440, got {span}"
            )


class Scales(msgspec.Struct, frozen=True):
    """Names behind the indices of LEG records, and how many decimals a ledger unit of each currency has."""

    symbols: tuple[str, ...]
    venues: tuple[str, ...]
    currencies: tuple[str, ...]
    underlyings: tuple[str, ...]
    scale: tuple[int, ...]  # by currency: a ledger unit is 10^-scale
    max_lots: tuple[int, ...]  # by leg: positions up to here cannot overflow...
    max_price_ticks: tuple[int, ...]  # ...at prices up to here

    def units(self, currency: str, amount: Number) -> int:
        """Ledger units of an amount of a currency, rounded half to even."""
        return round(
            exact(amount, f"amount of {currency}") * 10 ** self.scale[self.currencies.index(currency)]
        )

    def amount(self, currency: str, units: int) -> Decimal:
        """The exact decimal amount of so many ledger units."""
        return Decimal(int(units)).scaleb(-self.scale[self.currencies.index(currency)])


def exact(value: Number, where: str) -> Fraction:
    """The rational a decimal string, int or float (by its shortest text) stands for."""
    try:
        return Fraction(Decimal(str(value)))
    except (InvalidOperation, ValueError, OverflowError):
        raise ConfigError(f"{where}: expected a decimal number, got {value!r}") from None


def rate_e9(bp: Number, where: str) -> int:
    """Basis points as an integer rate of 1e-9; refuses what is finer than 0.00001 bp."""
    rate = exact(bp, where) * 100_000
    if rate.denominator != 1:
        raise ConfigError(f"{where}: expected at most 5 decimals of a basis point, got {bp}")
    return int(rate)


def to_legs(
    instruments: Sequence[Instrument],
    *,
    scales: Mapping[str, int] | None = None,
    max_lots: int | Mapping[str, int] | None = None,
    max_price_ticks: int | Mapping[str, int] = 100_000_000,
) -> tuple[np.ndarray, Scales]:
    """LEG records with their static fields filled in, quotes empty, and the names behind their indices.

    The scale of a currency starts at 8 (or at `scales[currency]`) and is raised until the money of one half
    tick of one lot is an integer for each leg that settles in it. `max_lots * max_price_ticks` (by symbol, or
    one for all) is proved to stay below 2^62 ledger units; without `max_lots` the largest that fits is taken
    and reported in `Scales.max_lots`, and limits above it are refused later.

    Raises ConfigError for missing fees, doubled symbols, ticks or lots that no scale makes exact, and
    overflow.
    """
    symbols = [one.symbol for one in instruments]
    if not symbols:
        raise ConfigError("instruments: expected at least one, got none")
    for symbol in symbols:
        if symbols.count(symbol) > 1:
            raise ConfigError(
                f"instruments: {symbol!r} is there {symbols.count(symbol)} times, expected once"
            )
    venues = tuple(dict.fromkeys(one.venue for one in instruments))
    currencies = tuple(dict.fromkeys(one.currency for one in instruments))
    underlyings = tuple(dict.fromkeys(one.underlying for one in instruments))
    scale = tuple(_scale_of(c, [o for o in instruments if o.currency == c], scales) for c in currencies)
    legs = np.zeros(len(symbols), LEG)
    lots_proved, prices_proved = [], []
    for leg, one in zip(legs, instruments, strict=True):
        decimals = scale[currencies.index(one.currency)]
        _fill(leg, one, decimals)
        leg["venue"] = venues.index(one.venue)
        leg["currency"] = currencies.index(one.currency)
        leg["underlying"] = underlyings.index(one.underlying)
        price = (
            max_price_ticks
            if isinstance(max_price_ticks, int)
            else max_price_ticks.get(one.symbol, 100_000_000)
        )
        lots = max_lots if isinstance(max_lots, int) else (max_lots or {}).get(one.symbol)
        lots_proved.append(_room(one, int(leg["money_num"]), lots, price))
        prices_proved.append(price)
    names = (tuple(symbols), venues, currencies, underlyings, scale, tuple(lots_proved), tuple(prices_proved))
    return legs, Scales(*names)


def _money(one: Instrument) -> Fraction:
    """Currency per half tick and lot (linear), or currency x half ticks a lot (inverse)."""
    tick, lot = exact(one.tick, "tick"), exact(one.lot, "lot") * exact(one.multiplier, "multiplier")
    return tick * lot / 2 if one.contract == "linear" else 2 * lot / tick


def _scale_of(currency: str, group: list[Instrument], scales: Mapping[str, int] | None) -> int:
    first = SCALE_FIRST if scales is None else scales.get(currency, SCALE_FIRST)
    for one in group:
        if one.fees is None:
            raise ConfigError(
                f"instrument {one.symbol!r}: fees are required, got none: pass"
                " fees=Fees(maker_bp=..., taker_bp=...), with zeros where trading is free"
            )
    for scale in range(first, max(first, SCALE_LAST) + 1):
        amounts = [_money(one) for one in group]
        amounts += [exact(one.fees.per_lot, "fees.per_lot") for one in group if one.fees is not None]
        if all((amount * 10**scale).denominator == 1 for amount in amounts):
            return scale
    worst = max(group, key=lambda one: (_money(one) * 10**SCALE_LAST).denominator)
    raise ConfigError(
        f"instrument {worst.symbol!r}: tick {worst.tick} x lot {worst.lot} x multiplier"
        f" {worst.multiplier} (or the fee a lot) is no whole number of 10^-{SCALE_LAST} {currency}:"
        " give tick and lot as exact decimals"
    )


def _room(one: Instrument, money_num: int, lots: int | None, price: int) -> int:
    """The largest position proved not to overflow; refuses when that is less than asked."""
    per_lot = 2 * price * money_num if one.contract == "linear" else money_num
    room = (MONEY_MAX - 1) // per_lot
    need = lots if lots is not None else one.min_lots
    if need > room:
        raise ConfigError(
            f"instrument {one.symbol!r}: {need} lots x {2 * price} half ticks x {money_num} ledger units ="
            f" {need * per_lot} is not below 2^62 = {MONEY_MAX}: at most {room} lots fit; lower max_lots or"
            " max_price_ticks, or use a larger lot or a smaller scale"
        )
    return need if lots is not None else room


def _fill(leg: np.void, one: Instrument, scale: int) -> None:
    assert one.fees is not None  # _scale_of refused it
    lot = exact(one.lot, "lot") * exact(one.multiplier, "multiplier")
    leg["tick"] = float(exact(one.tick, "tick"))
    leg["lot"] = float(lot)
    leg["money_num"] = int(_money(one) * 10**scale)
    leg["contract"] = CONTRACTS[one.contract]
    leg["maker_fee_e9"] = rate_e9(one.fees.maker_bp, "fees.maker_bp")
    leg["taker_fee_e9"] = rate_e9(one.fees.taker_bp, "fees.taker_bp")
    leg["buy_tax_e9"] = rate_e9(one.fees.buy_tax_bp, "fees.buy_tax_bp")
    leg["sell_tax_e9"] = rate_e9(one.fees.sell_tax_bp, "fees.sell_tax_bp")
    leg["fee_per_lot"] = int(exact(one.fees.per_lot, "fees.per_lot") * 10**scale)
    leg["min_lots"] = one.min_lots
    leg["lot_step"] = one.lot_step
    leg["min_notional"] = -int(-exact(one.min_notional, "min_notional") * 10**scale // 1)
    leg["stale_ns"] = one.stale_ns
    leg["fx_currency"] = -1
    leg["settle_days"] = one.settle_days
    leg["day_start_ns"] = one.session[0][0] * 60_000_000_000 if one.session else 0
    leg["assumed_depth_lots"] = one.assumed_depth_lots
    leg["trading"] = OPEN if one.allow_short else NO_SHORT
    for name in ("bid_ticks", "ask_ticks", "mid2_ticks", "last_ticks"):
        leg[name] = NO_PRICE
