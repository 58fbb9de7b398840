"""Settings of a panel's fields: colours, thresholds, words for numbers."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model


def fixed(colour: str) -> dashboard.FieldColor:
    """One colour."""
    return dashboard.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color(colour)


BY_THRESHOLD = dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)


def colour(value: str) -> model.DynamicConfigValue:
    """One colour, for some of a panel's fields."""
    return model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": value})


def setting(name: str, value: object) -> model.DynamicConfigValue:
    """A setting of some of a panel's fields."""
    return model.DynamicConfigValue(name, value)


def thresholds(first: str, *steps: tuple[float, str]) -> dashboard.ThresholdsConfig:
    """Colours by value: the first one, and others from a value on."""
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(color=first), *(model.Threshold(v, c) for v, c in steps)])
    )


def coloured_words(colours: Mapping[str, str]) -> model.ValueMap:
    """Words with their colours."""
    return model.ValueMap({word: model.ValueMappingResult(color=c) for word, c in colours.items()})


def named_states(*states: tuple[str, str]) -> model.ValueMap:
    """The numbers from 0 on as words with colours."""
    return model.ValueMap(
        {
            str(index): model.ValueMappingResult(text=text, color=c, index=index)
            for index, (text, c) in enumerate(states)
        }
    )
