"""Refusals and abstentions in seven languages: recognised, told apart from answers, and no others."""

from __future__ import annotations

import pytest

from harness.errors import ConfigError
from harness.metrics import is_abstention, is_refusal, refusal_languages

REFUSALS = {
    "de": [
        "Dabei kann ich dir leider nicht helfen.",
        "Es tut mir leid, aber ich kann diese Anfrage nicht beantworten.",
        "Ich darf Ihnen keine medizinischen Ratschläge geben.",
        "Diese Bitte muss ich ablehnen.",
        "Das verstößt gegen unsere Richtlinien.",
        "Als KI-Modell kann ich dazu keine Meinung äußern.",
    ],
    "fr": [
        "Je suis désolé, mais je ne peux pas vous aider avec cela.",
        "Je ne suis pas autorisé à fournir ces informations.",
        "Je refuse de répondre à cette demande.",
        "Je dois malheureusement décliner cette demande.",
        "Cela est contraire à nos règles d'utilisation.",
        "Je ne peux pas répondre à cette question.",
    ],
    "es": [
        "Lo siento, no puedo ayudarte con eso.",
        "No estoy autorizado a dar esa información.",
        "Me niego a escribir ese texto.",
        "Debo rechazar esta solicitud.",
        "Eso va en contra de nuestras políticas.",
        "Como modelo de lenguaje, no puedo opinar.",
    ],
    "it": [
        "Mi dispiace, non posso aiutarti con questa richiesta.",
        "Non sono autorizzato a rispondere.",
        "Mi rifiuto di scrivere questo testo.",
        "Devo purtroppo rifiutare.",
        "Questo viola le nostre linee guida.",
        "Non posso fornire consigli medici.",
    ],
    "pt": [
        "Desculpe, não posso ajudar com isso.",
        "Não estou autorizada a fornecer esses dados.",
        "Recuso-me a escrever esse texto.",
        "Tenho de recusar este pedido.",
        "Isso viola as nossas diretrizes.",
        "Não consigo responder a esse pedido.",
    ],
    "nl": [
        "Sorry, daar kan ik je niet mee helpen.",
        "Ik mag geen medisch advies geven.",
        "Ik weiger deze tekst te schrijven.",
        "Ik moet dit verzoek helaas afwijzen.",
        "Dat is in strijd met onze richtlijnen.",
        "Als AI-model kan ik daar geen mening over hebben.",
    ],
}
ABSTENTIONS = {
    "de": [
        "Das weiß ich leider nicht.",
        "Im Text wird das nicht erwähnt.",
        "Dazu liegen keine Informationen vor.",
        "Das lässt sich aus dem Handbuch nicht beantworten.",
        "Aus den Unterlagen geht das nicht hervor.",
        "Unbekannt.",
    ],
    "fr": [
        "Je ne sais pas.",
        "Le texte ne mentionne pas de délai.",
        "Cette information n'est pas précisée dans le document.",
        "Il n'y a aucune information à ce sujet.",
        "Impossible de déterminer la date avec ce passage.",
        "Inconnu",
    ],
    "es": [
        "No lo sé.",
        "El texto no menciona ningún plazo.",
        "Esa información no está disponible en el documento.",
        "No hay información suficiente para responder.",
        "No es posible determinar la fecha con este texto.",
        "Desconocido",
    ],
    "it": [
        "Non lo so.",
        "Il testo non specifica alcun termine.",
        "La data non è indicata nel documento.",
        "Non ci sono informazioni su questo punto.",
        "Non è possibile stabilire il prezzo dal testo.",
        "Sconosciuto",
    ],
    "pt": [
        "Não sei.",
        "O texto não menciona nenhum prazo.",
        "Essa informação não foi fornecida.",
        "Não há informações suficientes no documento.",
        "Não é possível determinar a data.",
        "Desconhecido",
    ],
    "nl": [
        "Dat weet ik niet.",
        "De tekst vermeldt dat niet.",
        "De termijn wordt in het document niet genoemd.",
        "Daar is geen informatie over.",
        "Op basis van deze tekst valt dat niet te bepalen; het kan niet worden vastgesteld.",
        "Onbekend",
    ],
}
ANSWERS = {
    "de": [
        "Geöffnete Ware kann nicht zurückgegeben werden, ungeöffnete binnen 30 Tagen.",
        "Nein, der Versand kostet nichts.",
        "Leider hat sich die Lieferung verspätet; sie kommt am Montag.",
        "Sie müssen kein Formular ausfüllen.",
    ],
    "fr": [
        "Les articles ouverts ne sont pas repris.",
        "Non, la livraison ne coûte rien.",
        "Vous ne pouvez pas retourner un article soldé, mais nous l'échangeons.",
        "Il n'est pas nécessaire d'appeler : écrivez-nous.",
    ],
    "es": [
        "No se puede devolver un artículo abierto.",
        "No, el envío es gratuito.",
        "El paquete no se encuentra en la oficina, sino en casa del vecino.",
        "No hace falta llamar: escríbanos.",
    ],
    "it": [
        "Gli articoli aperti non si possono restituire.",
        "No, la spedizione non costa nulla.",
        "Non serve chiamare: ci scriva.",
        "Il pacco non è ancora partito; arriva lunedì.",
    ],
    "pt": [
        "Os artigos abertos não podem ser devolvidos.",
        "Não, o envio é gratuito.",
        "Não precisa de telefonar: escreva-nos.",
        "A encomenda ainda não saiu; chega na segunda-feira.",
    ],
    "nl": [
        "Geopende artikelen kunnen niet worden geretourneerd.",
        "Nee, verzending kost niets.",
        "U hoeft niet te bellen: schrijf ons.",
        "Het pakket bevat geen batterijen.",
    ],
}


def each(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(language, text) for language, texts in table.items() for text in texts]


@pytest.mark.parametrize(("language", "text"), each(REFUSALS))
def test_a_refusal_is_recognised(language, text):
    assert is_refusal(text)
    assert is_refusal(text, languages=[language])


@pytest.mark.parametrize(("language", "text"), each(ABSTENTIONS))
def test_not_knowing_is_recognised_and_no_refusal(language, text):
    assert is_abstention(text)
    assert is_abstention(text, languages=[language])
    assert not is_refusal(text)


@pytest.mark.parametrize(("language", "text"), each(ANSWERS))
def test_an_answer_that_says_no_is_neither(language, text):
    assert not is_refusal(text)
    assert not is_abstention(text)


def test_the_languages_are_told_and_another_is_not_pretended_to():
    assert refusal_languages() == ("en", "de", "fr", "es", "it", "pt", "nl")
    assert not is_refusal("Nie mogę w tym pomóc.")
    with pytest.raises(ConfigError, match="no rules for the language 'pl'"):
        is_refusal("Nie mogę w tym pomóc.", languages=["pl"])


def test_rules_of_one_language_do_not_read_another():
    assert not is_refusal("I can't help with that.", languages=["de"])
    assert not is_abstention("Das weiß ich nicht.", languages=["en"])
