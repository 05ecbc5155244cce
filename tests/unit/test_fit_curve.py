"""`oneprice fit curve`: curves of a day from yields and quotes, with errors, conditioning and clear refusals."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.dashboard.curve_page import write_curve_page
from oneprice.market.rates import Treasury, read_treasury
from oneprice.signals.curve.parametric import Svensson
from oneprice.study.anchors_curve import GSW, ZERO
from oneprice.study.fit_curve import fit_curve, of_treasury, read_given, years_of

TENORS = ("3M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y", "10Y", "20Y", "30Y")


def written(path: Path, rates: list[float], kind: str = "zero", tenors: tuple[str, ...] = TENORS) -> Path:
    rows = [f"{t},{r!r},{kind}" for t, r in zip(tenors, rates, strict=True)]
    path.write_text("\n".join(["tenor,rate,kind", *rows]) + "\n")
    return path


def test_zero_rates_of_a_published_curve_come_back(tmp_path: Path) -> None:
    """From ten zero rates of the Federal Reserve's curve the fit gives its published zero rates to 1e-4 per cent."""
    path = written(tmp_path / "z.csv", [GSW.zero(years_of(t)) for t in TENORS])
    model = fit_curve(read_given(path))
    assert model.rmse_bp < 1e-4 and model.condition > 1
    by_years = {r["years"]: r for r in model.rates()}
    for t, published in ZERO.items():
        assert 100 * by_years[float(t)]["zero"] == pytest.approx(published, abs=1e-4)
    assert by_years[2.0]["par"] == pytest.approx(0.039419, abs=1e-6)
    assert math.isnan(by_years[30.0]["forward"])


def test_methods_differ_as_they_should(tmp_path: Path) -> None:
    """The nodes have no error; Svensson's is not above Nelson-Siegel's, whose is not above Diebold-Li's."""
    given = read_given(written(tmp_path / "z.csv", [GSW.zero(years_of(t)) for t in TENORS]))
    error = {m: fit_curve(given, m).rmse_bp for m in ("bootstrap", "svensson", "nelson_siegel", "diebold_li")}
    assert error["bootstrap"] < 1e-9 < error["nelson_siegel"] <= error["diebold_li"] * (1 + 1e-9)
    assert error["svensson"] <= error["nelson_siegel"]
    truth = Svensson(0.05, -0.02, 0.01, 0.0, 1 / (12 * 0.0609), 1.0)
    made = fit_curve(read_given(written(tmp_path / "d.csv", [truth.zero(years_of(t)) for t in TENORS])), "diebold_li")
    assert [made.parameters[n] for n in ("level", "slope", "curvature")] == pytest.approx([0.05, -0.02, 0.01])


def test_par_yields_become_zero_rates_that_price_them() -> None:
    """Par yields of a day are solved for zero rates, and the par rates of the nodes are the yields told."""
    par = np.array([[0.04, 0.041, 0.042, 0.043], [0.05, 0.05, 0.05, 0.05]])
    treasury = Treasury(np.array([17_000, 17_001]), np.array([0.5, 1.0, 2.0, 3.0]), par, "made")
    model = fit_curve(of_treasury(treasury, "2016-07-18"), "bootstrap")
    rates = {r["years"]: r["par"] for r in model.rates()}
    assert rates[1.0] == pytest.approx(0.041, abs=1e-12) and rates[3.0] == pytest.approx(0.043, abs=1e-12)
    assert of_treasury(treasury).day == "2016-07-19"
    with pytest.raises(DataError, match=r"no yields on 2016-07-20: it has 2016-07-18\.\.2016-07-19"):
        of_treasury(treasury, "2016-07-20")


def test_quotes_are_bootstrapped(tmp_path: Path) -> None:
    """Overnight swaps flat at 4 % give zero rates near ln(1.04 act/360), and the quotes are met."""
    pytest.importorskip("QuantLib")
    path = written(tmp_path / "q.csv", [0.04, 0.04, 0.04, 0.04], "ois", ("1Y", "2Y", "5Y", "10Y"))
    model = fit_curve(read_given(path, day="2023-01-31", convention="SOFR"), "bootstrap")
    assert model.given.zero == pytest.approx(np.full(4, math.log1p(0.04 * 365.25 / 360)), abs=2e-4)
    with pytest.raises(ConfigError, match="--convention and --day"):
        read_given(path)


def test_model_file_and_page(tmp_path: Path) -> None:
    """The model is JSON with its nodes and compounding; the page stands alone and says that it is no P&L."""
    model = fit_curve(read_given(written(tmp_path / "z.csv", [GSW.zero(years_of(t)) for t in TENORS])))
    told = json.loads(model.write(tmp_path / "m.json").read_text())
    assert told["method"] == "svensson" and len(told["quotes"]) == 10 and told["rates"][-1]["forward"] is None
    assert told["compounding"]["par"] == "semiannual"
    page = write_curve_page(model, tmp_path / "c.html").read_text()
    assert "can P&amp;L be claimed?" in page and "<svg" in page and "http" not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tenor,rate\n1Y,4.5\n", "row 1: expected a share"),
        ("tenor,rate\n1Q,0.04\n", "tenor '1Q'"),
        ("tenor,rate\n1Y,x\n", "row 1: field rate: expected"),
        ("tenor,price\n1Y,0.04\n", "expected columns tenor, rate"),
        ("tenor,rate\n1Y,0.04\n12M,0.04\n", "there twice"),
        ("tenor,rate,kind\n1Y,0.04,swop\n", "kind of row 1"),
        ("tenor,rate,kind\n1Y,0.04,par\n2Y,0.04,ois\n", "yields of one kind"),
        ("tenor,rate\n1Y,0.04\n2Y,0.04\n", "6 or more distinct times, got 2"),
        ("day,price\n2020-01-01,3\n", "expected a date and tenors"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, says: str) -> None:
    """Per cent, unknown tenors and kinds, missing columns, too few quotes: the row or the rule is named."""
    (tmp_path / "b.csv").write_text(text)
    with pytest.raises((DataError, ConfigError), match=says):
        fit_curve(read_given(tmp_path / "b.csv"))


def test_unknown_method_and_file(tmp_path: Path) -> None:
    """A misspelt method lists the known ones."""
    given = read_given(written(tmp_path / "z.csv", [0.03] * 10))
    with pytest.raises(ConfigError, match="mean 'svensson'"):
        fit_curve(given, "svenson")
    with pytest.raises(DataError, match="no such file"):
        read_given(tmp_path / "none.csv")


@pytest.mark.parametrize("method", ["svensson", "nelson_siegel", "diebold_li"])
def test_tenors_too_close_to_each_other_are_refused(tmp_path: Path, method: str) -> None:
    """Seven tenors within two days determine no curve: the fit is refused, the nodes are still a curve."""
    path = tmp_path / "close.csv"
    path.write_text("tenor,rate\n" + "".join(f"10.00{i}Y,0.03{i % 2}\n" for i in range(7)))
    given = read_given(path)
    with pytest.raises(DataError, match=r"close\.csv, tenors 10\.000Y to 10\.006Y: .*cannot tell its numbers apart"):
        fit_curve(given, method)
    kept = fit_curve(given, "bootstrap")
    assert [r["years"] for r in kept.rates()] == [10.0] and "nan" not in str(kept)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tenor,rate\n1Y,abc\n2Y,0.02\n", r"row 1: field rate: expected a share such as 0\.0431, got 'abc'"),
        ("tenor,rate\n1Y,0.01\n,0.02\n", "row 2: field tenor: expected like 3M"),
        ("tenor,rate\n1Y,0.01\n0Y,0.02\n", "row 2: tenor '0Y'"),
        ("tenor,rate,kind\n1Y,0.03,par\n2Y,0.4,par\n30Y,0.49,par\n50Y,0.01,par\n", r"q\.csv, the quotes: par yields"),
    ],
)
def test_a_row_that_is_no_quote_names_itself(tmp_path: Path, text: str, said: str) -> None:
    """File, row, field, what came and what was expected."""
    path = tmp_path / "q.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_given(path)


def test_days_that_are_none_and_folders_are_refused(tmp_path: Path) -> None:
    """A day is checked even where it only names the quotes; a folder is no file."""
    path = tmp_path / "q.csv"
    path.write_text("tenor,rate\n1Y,0.01\n2Y,0.02\n")
    with pytest.raises(DataError, match="2020-13-01"):
        read_given(path, day="2020-13-01")
    with pytest.raises(DataError, match="got a folder"):
        read_given(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("date,1 Mo,10 Yr\n2020-01-02,1.5,x\n", "row 1, column 10 Yr: expected a yield or none, got 'x'"),
        ("date,1 Mo,10 Yr\nsoon,1.5,1.6\n", r"y\.csv, row 1: date 'soon'"),
        ("date,1 Mo,10 Yr\n2020-01-02,1.5,1.6\n2020-01-02,1.5,1.6\n", "2020-01-02 is there twice"),
        ("date,1 Mo,10 Yr\n", "got the header alone"),
    ],
)
def test_a_file_of_yields_names_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    """Words that are no yield, days that are none or double, no row."""
    path = tmp_path / "y.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_treasury(path)


def test_words_for_no_yield_are_missing(tmp_path: Path) -> None:
    """N/A and a dot are holes, not errors."""
    path = tmp_path / "y.csv"
    path.write_text("date,1 Mo,10 Yr\n2020-01-02,N/A,1.6\n2020-01-03,.,1.7\n2020-01-06,1.5,1.7\n")
    assert np.isnan(read_treasury(path).par[:2, 0]).all()
