"""Protocols of 1:N search: who is enrolled, what is searched for, and who that is."""
