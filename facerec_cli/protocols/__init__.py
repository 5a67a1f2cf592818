"""Protocols of 1:N search: who is enrolled, what is searched for, and who that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.lazy import lazy_names

if TYPE_CHECKING:
    from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
    from facerec_cli.protocols.read import read_protocol

__all__ = ["SearchProtocol", "SearchTrial", "read_protocol"]

__getattr__ = lazy_names(
    __name__,
    {
        "SearchProtocol": "facerec_cli.protocols.protocol",
        "SearchTrial": "facerec_cli.protocols.protocol",
        "read_protocol": "facerec_cli.protocols.read",
    },
)
