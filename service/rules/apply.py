"""A rule → the settings under which one study is measured and delivered."""

from __future__ import annotations

from lnc_dicom.outputs import Output, files_for, union
from lnc_service.rules.rule import Measured, Rule
from lnc_service.settings import Settings, name_of


def measuring(settings: Settings, rule: Rule | None, *, demonstration: bool) -> Settings:
    """Give the settings under which a study is measured: what the rule leaves out is switched off.

    demonstration
        Whether the biomarker model is a demonstration, whose predictions nobody gets who does not ask.
    """
    if rule is None:
        return settings
    wanted = tuple(name for name in settings.maps.measured if Measured(name) in rule.measure)
    maps = settings.maps.model_copy(update={"measured": wanted})
    predicts = settings.biomarker.enabled and Measured.PREDICTIONS in rule.measure
    biomarker = settings.biomarker.model_copy(update={"enabled": predicts})
    gets = _destinations(settings, rule, demonstration=demonstration)
    return settings.model_copy(update={"maps": maps, "biomarker": biomarker, **gets})


def _destinations(settings: Settings, rule: Rule, *, demonstration: bool) -> dict[str, object]:
    """Give every destination the kinds of objects that the rule gives it."""
    usual = [(d, settings.objects_of(d, demonstration=demonstration)) for d in settings.destinations]
    pacs, *others = (d.model_copy(update={"objects": rule.gets(name_of(d), kinds)}) for d, kinds in usual)
    return {"pacs": pacs, "others": tuple(others)}


def files_of_destinations(
    settings: Settings, rule: Rule | None, written: list[str], *, demonstration: bool
) -> dict[str, list[str]]:
    """Choose the files for every destination, by its name; one that gets nothing is left out."""
    kinds = kinds_of_destinations(settings, rule, demonstration=demonstration)
    chosen = {name: files_for(wanted, written) for name, wanted in kinds.items()}
    return {name: list(wanted) for name, wanted in chosen.items() if wanted}


def kinds_of_destinations(
    settings: Settings, rule: Rule | None, *, demonstration: bool
) -> dict[str, tuple[Output, ...]]:
    """Say which kinds of objects go where; a destination that gets nothing is left out."""
    under = measuring(settings, rule, demonstration=demonstration)
    kinds = {name_of(d): union([under.objects_of(d, demonstration=demonstration)]) for d in under.destinations}
    return {name: wanted for name, wanted in kinds.items() if wanted}
