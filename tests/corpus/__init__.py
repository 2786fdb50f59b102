"""Ledgers as released versions wrote them, and the states that they must be read to for ever."""
