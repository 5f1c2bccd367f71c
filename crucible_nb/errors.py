"""The errors crucible_nb raises. A leaf: imports nothing."""

__all__ = [
    "ConfigError",
    "CrucibleError",
    "CrucibleWarning",
    "LifecycleError",
    "SchemaError",
    "StatError",
    "StoreError",
]


class CrucibleError(Exception):
    """Base of every error that crucible_nb raises on purpose.

    Examples:
        >>> import crucible_nb as cr
        >>> issubclass(cr.ConfigError, cr.CrucibleError)
        True
    """


class ConfigError(CrucibleError, ValueError):
    """An argument is not what the function accepts; the message names it, what came and what is accepted.

    Examples:
        >>> import crucible_nb as cr
        >>> cr.start("demo", on_exists="maybe")
        Traceback (most recent call last):
        ...
        crucible_nb.errors.ConfigError: on_exists='maybe': expected one of 'new', 'resume', 'error'
    """


class SchemaError(CrucibleError, ValueError):
    """A table lacks what the analysis needs: a column, a time index, a usable type.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb as cr
        >>> pd.DataFrame({"latency_ms": [1.0]}).crucible.windowed_metrics("1min")
        Traceback (most recent call last):
        ...
        crucible_nb.errors.SchemaError: frame: expected a DatetimeIndex or a 'time' column, got a RangeIndex
    """


class LifecycleError(CrucibleError, RuntimeError):
    """A transition that the experiment's status does not allow; the message says which are allowed.

    Examples:
        >>> import crucible_nb as cr
        >>> exp = cr.start("demo")
        >>> exp.stop()
        >>> exp.resume()
        Traceback (most recent call last):
        ...
        crucible_nb.errors.LifecycleError: cannot resume 'demo': its status is 'stopped' (allowed: archive)
    """


class StoreError(CrucibleError):
    """A file or store cannot be read or written as asked: broken, hostile, foreign or full.

    Examples:
        >>> import crucible_nb as cr
        >>> cr.load("no-such-file.parquet")
        Traceback (most recent call last):
        ...
        crucible_nb.errors.StoreError: cannot read 'no-such-file.parquet': no such file
    """


class StatError(CrucibleError, ValueError):
    """A number that was asked for cannot be had honestly from the data at hand.

    Examples:
        >>> import crucible_nb as cr
        >>> cr.accumulators.Quantiles().update([1.0], weights=[-1.0])
        Traceback (most recent call last):
        ...
        crucible_nb.errors.StatError: weights: expected finite numbers >= 0, got -1.0
    """


class CrucibleWarning(UserWarning):
    """Something a user should know that is no reason to stop: said once per experiment and kind.

    Examples:
        >>> import crucible_nb as cr
        >>> issubclass(cr.CrucibleWarning, UserWarning)
        True
    """
