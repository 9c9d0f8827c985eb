"""Claims that people would call supported by a passage, or not: what the rule of ``memory.support`` is held against.

Sound ones are quotations and rewordings. Unsound ones are what models do wrong: another number, the contrary, another
subject, more than was said, words of the passage in another sense. Some of each are beyond what words can tell.
"""

from __future__ import annotations

from appliance.memory.support import Evidence

LEAVE = (
    "Employees have 25 days of paid leave in each calendar year. Days that are not taken by 31 March of the following "
    "year lapse. Part-time employees have leave in proportion to their hours. Leave of more than ten days in a row "
    "needs the consent of the head of department."
)
PARKEN = (
    "Besucher dürfen im Hof höchstens 90 Minuten parken. Das Parken vor der Rettungszufahrt ist nicht erlaubt. "
    "Dauerkarten für Mitarbeitende gibt die Hausverwaltung gegen eine Gebühr von 40 Franken im Monat aus."
)
ACCUEIL = (
    "Le guichet est ouvert du lundi au vendredi, de 8 h 30 à 11 h 45. Les demandes écrites reçoivent une réponse dans "
    "un délai de dix jours ouvrables. Aucun document original n'est restitué sans présentation d'une pièce d'identité."
)
BACKUP = (
    "Backups run every night at 02:00 and are kept for 35 days. A restore is tried out on the first Monday of each "
    "month. The backup key must never be stored on the host that it protects."
)

SOUND = (
    (LEAVE, "Employees have 25 days of paid leave in each calendar year."),
    (LEAVE, "Paid leave is 25 days in a calendar year."),
    (LEAVE, "Every employee gets 25 days of paid leave per calendar year [1]."),
    (LEAVE, "Days not taken lapse by 31 March of the following year."),
    (LEAVE, "Part-time employees have leave in proportion to hours."),
    (LEAVE, "The head of department needs to consent to leave of more than ten days in a row."),
    (LEAVE, "For more than ten days of leave in a row, the consent of the head of department is needed."),
    (LEAVE, 'The rules say that days "lapse" only if they are not taken by 31 March of the following year.'),
    (LEAVE, "25 days"),
    (PARKEN, "Besucher dürfen höchstens 90 Minuten im Hof parken."),
    (PARKEN, "Im Hof dürfen Besucher 90 Minuten parken [1]."),
    (PARKEN, "Vor der Rettungszufahrt ist das Parken nicht erlaubt."),
    (PARKEN, "Dauerkarten gibt die Hausverwaltung aus."),
    (PARKEN, "Eine Dauerkarte für Mitarbeitende hat eine Gebühr von 40 Franken im Monat."),
    (PARKEN, "Die Gebühr für Dauerkarten beträgt 40 Franken im Monat."),
    (ACCUEIL, "Le guichet est ouvert du lundi au vendredi."),
    (ACCUEIL, "Le guichet ouvre du lundi au vendredi, de 8 h 30 à 11 h 45."),
    (ACCUEIL, "Une demande écrite reçoit une réponse dans un délai de dix jours ouvrables."),
    (ACCUEIL, "Aucun document original n'est restitué sans pièce d'identité."),
    (BACKUP, "Backups run every night at 02:00."),
    (BACKUP, "Every night at 02:00 backups run, and they are kept for 35 days."),
    (BACKUP, "Backups are kept 35 days."),
    (BACKUP, "The backup key must never be stored on the protected host."),
    (BACKUP, "On the first Monday of each month a restore is tried out."),
    (BACKUP, "A restore is tested once a month."),
)
UNSOUND = (
    (LEAVE, "Employees have 30 days of paid leave in each calendar year."),
    (LEAVE, "Days that are not taken by 30 April of the following year lapse."),
    (LEAVE, "Days that are taken by 31 March of the following year lapse."),
    (LEAVE, "Employees have unlimited sick leave."),
    (LEAVE, "Leave of more than ten days in a row needs no consent."),
    (LEAVE, "The company was founded in 1990."),
    (LEAVE, 'The rules say "employees may sell their days of leave to each other".'),
    (LEAVE, "Employees have 25 days of paid leave and a bonus of one salary at Christmas, paid by the cantonal bank."),
    (LEAVE, "Part-time employees have no leave."),
    (PARKEN, "Besucher dürfen im Hof höchstens 60 Minuten parken."),
    (PARKEN, "Das Parken vor der Rettungszufahrt ist erlaubt."),
    (PARKEN, "Besucher dürfen im Hof nicht parken."),
    (PARKEN, "Dauerkarten kosten 400 Franken im Monat."),
    (PARKEN, "Fahrräder stehen im Keller hinter der Werkstatt."),
    (PARKEN, "Die Hausverwaltung vergibt Wohnungen an Mitarbeitende."),
    (ACCUEIL, "Le guichet est ouvert le samedi de 9 h à 12 h."),
    (ACCUEIL, "Les demandes écrites reçoivent une réponse dans un délai de 30 jours ouvrables."),
    (ACCUEIL, "Tout document original est restitué sans présentation d'une pièce d'identité."),
    (ACCUEIL, "Le guichet n'est pas ouvert du lundi au vendredi."),
    (ACCUEIL, "Le directeur reçoit les visiteurs dans son bureau."),
    (BACKUP, "Backups run every night at 03:00."),
    (BACKUP, "Backups are kept for 90 days."),
    (BACKUP, "The backup key is stored on the host that it protects."),
    (BACKUP, "A restore is never tried out."),
    (BACKUP, "Restores run every night."),
)


def agreement() -> float:
    """The share of all of them of which the rule says what people say."""
    said = [(Evidence(passage).support(claim) is not None) for passage, claim in (*SOUND, *UNSOUND)]
    labels = [True] * len(SOUND) + [False] * len(UNSOUND)
    return sum(one == label for one, label in zip(said, labels, strict=True)) / len(labels)
