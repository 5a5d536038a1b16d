"""Quiet logs: while an app redacts, nothing that this process logs holds what it redacts, tracebacks included."""

import logging
from collections.abc import Callable
from typing import Any

from engine.definition.redaction import Redaction

_formatter = logging.Formatter()


class QuietLogs:
    """Redacts log records as they are made, whichever logger and handler they are for, until it is taken back."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._made: Callable[..., logging.LogRecord] = logging.getLogRecordFactory()
        self._is_on = True
        logging.setLogRecordFactory(self._make)

    def take_back(self) -> None:
        """Log as before; where another has come to stand around this one, it only does nothing more."""
        self._is_on = False
        if logging.getLogRecordFactory() == self._make:
            logging.setLogRecordFactory(self._made)

    def _make(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._made(*args, **kwargs)
        if self._is_on:
            record.msg, record.args = self._redaction.text(record.getMessage()), None
            if record.exc_info:
                record.exc_text = self._redaction.text(_formatter.formatException(record.exc_info))
                record.exc_info = None  # else a handler may format it anew
        return record
