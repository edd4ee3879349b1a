"""A rule → the settings under which one study is measured and delivered."""

from __future__ import annotations

from lnc_dicom.outputs import Output, files_for, union
from lnc_service.rules.rule import Measured, Rule
from lnc_service.settings import Settings, name_of


def measuring(settings: Settings, rule: Rule | None) -> Settings:
    """Give the settings under which a study is measured: what the rule leaves out is switched off."""
    if rule is None:
        return settings
    wanted = tuple(name for name in settings.maps.measured if Measured(name) in rule.measure)
    maps = settings.maps.model_copy(update={"measured": wanted})
    predicts = settings.biomarker.enabled and Measured.PREDICTIONS in rule.measure
    biomarker = settings.biomarker.model_copy(update={"enabled": predicts})
    return settings.model_copy(update={"maps": maps, "biomarker": biomarker, **_destinations(settings, rule)})


def _destinations(settings: Settings, rule: Rule) -> dict[str, object]:
    """Give every destination the kinds of objects that the rule gives it."""
    pacs, *others = (
        d.model_copy(update={"objects": rule.gets(name_of(d), settings.objects_of(d))}) for d in settings.destinations
    )
    return {"pacs": pacs, "others": tuple(others)}


def files_of_destinations(settings: Settings, rule: Rule | None, written: list[str]) -> dict[str, list[str]]:
    """Choose the files for every destination, by its name; one that gets nothing is left out."""
    under = measuring(settings, rule)
    chosen = {name_of(d): files_for(under.objects_of(d), written) for d in under.destinations}
    return {name: list(wanted) for name, wanted in chosen.items() if wanted}


def kinds_of_destinations(settings: Settings, rule: Rule | None) -> dict[str, tuple[Output, ...]]:
    """Say which kinds of objects go where, for people."""
    under = measuring(settings, rule)
    return {name_of(d): union([under.objects_of(d)]) for d in under.destinations if under.objects_of(d)}
