"""`oneprice audit FILE --family term`: bands of carry over a whole history, and what lies outside them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oneprice.cli.common import page_told, print_json, progress
from oneprice.cli.inputs import span_of
from oneprice.core.errors import ConfigError, DataError, unknown_name

FAMILY = Annotated[str, typer.Option("--family", help="gaps (of tapes) or term (bands of carry, of a file).")]
ROOT = Annotated[str | None, typer.Option(help="Term: root of the contracts, such as CL, NG, BRN, GC.")]
EXPIRY = Annotated[
    Path | None, typer.Option(help="Term: table of expiries. None: expiry_table.parquet beside the file.")
]
RATES = Annotated[
    list[str] | None, typer.Option("--rates", help="Term: Treasury yields by day, CSV, or a pack; repeat.")
]
RATE = Annotated[float | None, typer.Option(help="Term: one rate for all days, a share a year, instead of --rates.")]
STORAGE = Annotated[float | None, typer.Option(help="Term: storage, money a unit and month. None: assumed by root.")]
LEASE = Annotated[float, typer.Option(help="Term: fee of borrowing the asset, a share a year.")]
SPREADS = Annotated[str, typer.Option("--spreads-bp", help="Term: BORROW,LEND, above and below the curve.")]
DIVIDENDS = Annotated[
    list[str] | None,
    typer.Option("--dividends", help="Term: file of cash dividends (date, amount, series), or DATE=AMOUNT; repeat."),
]
MARGIN = Annotated[float, typer.Option(help="Term: initial margin of a future, a share of its price.")]
MARGIN_RATE = Annotated[float, typer.Option("--margin-rate", help="Term: what posting the margin costs, a year.")]
TAX = Annotated[float, typer.Option(help="Term: tax on what is bought and delivered, a share.")]
PLACES = Annotated[int, typer.Option(help="Term: contracts from the front.")]
BOUNDARY = Annotated[str | None, typer.Option(help="Term: two_sided, upper or none. None: that of the root.")]
CONFIRM = Annotated[int, typer.Option(help="Term: rows outside in a row before it counts.")]
OBSERVED = Annotated[bool, typer.Option("--observed", help="Term: storage, lease and rates are what you can deal at.")]
DAY = Annotated[str | None, typer.Option("--day", help="Term: day whose strip the page draws. None: the worst.")]
PAGE = Annotated[Path | None, typer.Option(help="Term: file for a page with the plots.")]
FAMILIES = ("gaps", "term")
PACK_ROWS, PACK_EXPIRIES, PACK_YIELDS = "futures_settlements_1d", "futures_expiries", "treasury_par_1d"


def is_term(family: str) -> bool:
    """Whether the words ask for a term structure. Raises ConfigError for a family that is not known."""
    if family not in FAMILIES:
        raise unknown_name("--family", family, list(FAMILIES))
    return family == "term"


def audit_term(
    data: str, *, root: str | None, expiry: Path | None, rates: list[str] | None, places: int, boundary: str | None,
    fee_bp: float | None, dividends: list[str] | None, days: str | None, day: str | None, page: Path | None,
    as_json: bool, **words: Any,
) -> None:  # fmt: skip
    """Audit a file and print what was found; `words` are fields of CarryTerms."""
    from oneprice.study.term_audit import CarryTerms
    from oneprice.study.term_audit_text import text

    borrow, lend = _spreads(words.pop("spreads"))
    terms = CarryTerms(borrow_bp=borrow, lend_bp=lend, **words)
    written = page_told(page) if page is not None else ""
    with progress("audit", quiet=as_json) as tick:
        tick(0, 0)
        found = _audited(data, terms, (root, expiry, places, boundary), rates, fee_bp, dividends, span_of(days))
    row = found.row_of(day) if day is not None else None
    if page is not None:
        from oneprice.dashboard.term_page import write_term_page

        write_term_page(found, page, day=day)
    if as_json:
        more = {"day": found.day_rows(row), "day_parts": found.part_rows(row)} if row is not None else {}
        print_json(found.to_dict() | more)
        return
    typer.echo(text(found, row))
    if page is not None:
        typer.echo(f"\n{written}")


def refuse_others(**given: Any) -> None:
    """Raises ConfigError for an option of a term structure that was given with gaps of tapes."""
    for name, value in given.items():
        if value:
            raise ConfigError(f"--{name.replace('_', '-')} is of term structures: add --family term, or leave it away")


def _audited(
    data: str, terms: Any, which: tuple[str | None, Path | None, int, str | None], rates: list[str] | None,
    fee_bp: float | None, dividends: list[str] | None, span: tuple[str | None, str | None],
) -> Any:  # fmt: skip
    """The audit of whatever the file is; `which` is (root, expiry, places, boundary)."""
    from oneprice.study import term_audit_sources as sources
    from oneprice.study.term_audit_other import audit_perpetuals, audit_yields

    path, about = _file(data)
    kind = "yields" if data == f"pack:{PACK_YIELDS}" else sources.layout_of(path)
    if kind in ("yields", "perpetuals"):
        if dividends or terms.tax or (kind == "yields" and terms.margin):
            raise ConfigError(f"{path.name} holds {kind}: expected no --dividends, --tax" + (
                " or --margin: a yield is not carried" if kind == "yields" else ": a perpetual has no delivery"
            ))  # fmt: skip
        if kind == "yields":
            return audit_yields(_within(_treasury([str(path)]), span), terms)
        if span != (None, None):
            raise ConfigError(f"--days: expected none with perpetuals, got {span[0]}..{span[1]}: all are audited")
        return audit_perpetuals(path, terms, **({} if fee_bp is None else {"fee_bp": fee_bp}))
    if fee_bp:
        raise ConfigError("--fee-bp: expected with perpetuals; a fee of futures is money a contract, left out here")
    panel = sources.within(_panel(path, kind, about, *which), *span)
    return _carried(panel, terms, rates or ([f"pack:{PACK_YIELDS}"] if about else []), dividends)


def _panel(
    path: Path, kind: str, about: dict[str, str], root: str | None, expiry: Path | None, places: int,
    boundary: str | None,
) -> Any:  # fmt: skip
    """Rows by place of a file of futures."""
    from oneprice.study import term_audit_sources as sources

    if kind == "vix":
        if root not in (None, "VX"):
            raise unknown_name(f"root in {path.name}", str(root), ["VX"])
        if boundary not in (None, "none"):
            raise ConfigError(f"--boundary {boundary}: VIX futures have none: the index cannot be stored or lent")
        return sources.vix_of(path, places=min(places, 9))
    if kind == "quotes":
        return sources.quotes_of(path, root=root, boundary=boundary, places=places)
    if root is None:
        raise ConfigError(f"--root: expected one of {', '.join(sources.roots_of(path))}, got none")
    if about and expiry is None:
        from oneprice.market.packs import table

        expiry = table(PACK_EXPIRIES)
    return sources.strip_of(path, expiry, root, places=places, boundary=boundary, about=about)


def _within(yields: Any, span: tuple[str | None, str | None]) -> Any:
    """Yields of the days asked for."""
    import msgspec

    from oneprice.market.chains import day_number, day_text

    if span == (None, None):
        return yields
    keep = (yields.days >= day_number(span[0])) & (yields.days <= day_number(span[1]))
    if not keep.any():
        have = f"{day_text(int(yields.days[0]))}..{day_text(int(yields.days[-1]))}"
        raise DataError(f"{yields.source}: no yields from {span[0]} to {span[1]}: it has {have}")
    return msgspec.structs.replace(yields, days=yields.days[keep], par=yields.par[keep])


def _carried(panel: Any, terms: Any, rates: list[str], dividends: list[str] | None) -> Any:
    """The audit of a panel of futures; what has no boundary needs no rates."""
    from oneprice.study.term_audit import audit_strip
    from oneprice.study.term_audit_cash import read_dividends

    needed = panel.boundary != "none" and terms.rate is None
    if needed and not rates:
        raise ConfigError("carrying needs rates: write --rates FILE (Treasury yields by day) or --rate 0.03")
    paid = read_dividends(dividends, panel.label.split()[0]) if dividends else None
    return audit_strip(panel, terms, _treasury(rates) if needed else None, dividends=paid)


def _file(data: str) -> tuple[Path, dict[str, str]]:
    """(path, words for the header) of a file or of a pack."""
    if not data.startswith("pack:"):
        if Path(data).is_dir():
            raise DataError(f"{data}: expected a file (Parquet of settlements or quotes, CSV of yields), got a folder")
        return Path(data), {}
    from oneprice.market.packs import pack, table

    wanted = pack(data.removeprefix("pack:"))
    if wanted.name not in (PACK_ROWS, PACK_YIELDS):
        raise unknown_name("pack of a term structure", wanted.name, [PACK_ROWS, PACK_YIELDS])
    about = {
        "source": f"{wanted.member} inside the wheel {wanted.wheel} {wanted.version}; the vendor is not named",
        "licence": f"{wanted.licence} (of the wheel, not a grant of the exchange)",
    }
    return table(wanted.name), about


def _treasury(names: list[str]) -> Any:
    """Yields of files or of the pack; None without any (then a rate must be stated)."""
    if not names:
        return None
    from oneprice.market.packs import table
    from oneprice.market.rates import read_treasury

    return read_treasury(*(table(n.removeprefix("pack:")) if n.startswith("pack:") else Path(n) for n in names))


def _spreads(text: str) -> tuple[float, float]:
    """BORROW,LEND."""
    from oneprice.cli.common import floats

    values = floats(text, what="--spreads-bp")
    if len(values) != 2:
        raise ConfigError(f"--spreads-bp: expected BORROW,LEND in basis points, got {text!r}")
    return values[0], values[1]
