"""Makes up names of people. They come from many languages, because lists must sort and search names of all of them."""

from __future__ import annotations

from typing import NamedTuple

_FIRST = """
Amara Ben Chloe Diego Elif Finn Grace Hiro Ines Jonas Kavya Liam Mei Noah Olga Priya Quinn Rosa Sami Tara Uma Viktor Wren
Ximena Yusuf Zoë Ólafur Łucja Søren Élodie Anaïs Björn Çağla Đorđe Müge Nuño Šárka Þóra Жанна Мирослав Ελένη Νίκος Aoife
Bao Cora Dmitri Emeka Farah Gael Hana Idris Jun Keiko Leila Malik Nadia Omar Petra Rafael Sofia
"""
_LAST = """
Adeyemi Brown Chen Duarte Evans Fischer García Haddad Ito Jensen Kowalska Larsen Müller Nguyen O'Brien Petrov Quispe Rossi
Silva Tanaka Underwood Varga Williams Xu Yavuz Zhang Åberg Örn Øverland Šimek Łukasik Đurić Ćosić Núñez D'Angelo
Smith-Jones Жуковская Παπαδόπουλος Abara Becker Castillo Dubois Eriksen Ferreira Gupta Horváth Ivanova Johnson Kim Lopez
Martin Novák Okafor Patel Ramos Schmidt Tran Ueda Vogel Walker Yamada Zielińska Anders Blake
"""
_FIRST_NAMES, _LAST_NAMES = _FIRST.split(), _LAST.split()


class Somebody(NamedTuple):
    """A made-up person with an account."""

    id: str
    name: str
    email: str


def name(number: int) -> str:
    """The first and last name of person number `number`. The first 3,840 names differ; then they repeat."""
    turn, first = divmod(number, len(_FIRST_NAMES))
    return f"{_FIRST_NAMES[first]} {_LAST_NAMES[(number + turn) % len(_LAST_NAMES)]}"
