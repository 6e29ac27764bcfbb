"""Few-shot classification of texts, and what texts tell of items."""


def __getattr__(name: str):
    if name != "item_text_study":
        raise AttributeError(f"module 'fsl.texts' has no attribute {name!r}")
    from fsl.texts.item_study import item_text_study

    return item_text_study
