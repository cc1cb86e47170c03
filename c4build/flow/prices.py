"""What a build costs in money, by prices from a file."""

import pathlib
import tomllib
from typing import Any, NamedTuple

import numpy as np

from c4build.errors import UsageError, printable
from c4build.flow.estimate import Quantity

_PACKAGED = pathlib.Path(__file__).with_name("prices.toml")
_GB = 1 << 30
_PRICES = ("vcpu_hour", "gb_month", "thousand_writes", "thousand_reads", "egress_gb")


class Prices(NamedTuple):
    """Of one provider, in its currency, all for what it counts: a GB is 2^30 bytes."""

    name: str
    vcpu_hour: float
    gb_month: float
    thousand_writes: float
    thousand_reads: float
    egress_gb: float
    date: str  # of the oldest of them; empty where the file does not say


def load_prices(path: str | None) -> list[Prices]:
    """The providers of a TOML file as `prices.toml` is one; None: that file. Raises UsageError."""
    file = path or str(_PACKAGED)
    try:
        with open(file, "rb") as opened:
            tables = tomllib.load(opened)
    except OSError as error:
        raise UsageError(f"--prices {file}: cannot be read ({error.strerror or error})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--prices {file}: it is not TOML: {printable(str(error))}") from error
    if not tables:
        raise UsageError(f"--prices {file}: it has no prices; a table for each provider, as in [aws]")
    return [_provider(file, name, table) for name, table in tables.items()]


def _provider(file: str, provider: str, table: Any) -> Prices:
    if not isinstance(table, dict):
        raise UsageError(f"--prices {file}: {printable(provider)} is no table; a table for each provider, as in [aws]")
    if unknown := sorted(set(table) - {*_PRICES, "name"}):
        raise UsageError(f"--prices {file}: [{provider}] has {printable(unknown[0])}; there are {', '.join(_PRICES)}")
    found, dates = {}, []
    for name in _PRICES:
        given = table.get(name)
        price = given.get("price") if isinstance(given, dict) else given
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < float("inf"):
            raise UsageError(f"--prices {file}: [{provider}] {name} must be a price, as in {name} = 0.05")
        found[name] = float(price)
        dates.append(str(given.get("date", "")) if isinstance(given, dict) else "")
    return Prices(printable(str(table.get("name", provider))), **found, date=min(dates))


def money(quantities: dict[str, dict[str, Quantity]], prices: Prices) -> dict[str, Quantity]:
    """What a build costs by one provider's prices; what to download the corpora costs is not in the sum."""
    sizes, requests = quantities["bytes"], quantities["requests"]
    nothing = np.zeros((1, 1))
    written = sum((size for name, size in sizes.items() if name.startswith("written, ")), nothing)
    found: dict[str, Quantity] = {
        "processors": quantities["cpu"]["all"] / 3600 * prices.vcpu_hour,
        "page files, a month": sizes["kept as page files"] / _GB * prices.gb_month,
        "corpora, a month": written / _GB * prices.gb_month,
        "requests": requests["writes to OUT"] / 1000 * prices.thousand_writes
        + requests["reads from OUT"] / 1000 * prices.thousand_reads,
    }
    return {**found, "all of this": sum(found.values(), nothing), "download, once": written / _GB * prices.egress_gb}
