"""Few-shot and meta-learning for a phone shop. Names are imported on first use, so that a bare import is quick."""

from fsl.lazy import names_of

_HOME = {
    "Shop": "data",
    "read_shop": "reading.read",
    "load": "sources",
    "open_shop": "sources",
    "simulate_shop": "simulate",
    "Examples": "episodes",
    "Episode": "episodes",
    "Tasks": "tasks",
    "class_episode": "class_tasks",
    "draw_shots": "episodes",
    "everything_else": "episodes",
    "gather": "episodes",
    "item_tasks": "tasks",
    "sample_episode": "episodes",
    "scene_tasks": "tasks",
    "split_by_time": "tasks",
    "split_tasks": "tasks",
    "user_tasks": "tasks",
    "contrastive_loss": "siamese",
    "SiameseNetwork": "siamese",
    "adapted_predictions": "adapt",
    "meta_loss": "adapt",
    "auc": "metrics",
    "ndcg": "metrics",
    "evaluate": "evaluation",
    "headline": "headlines",
    "load_model": "recommending.model_file",
    "InputError": "errors",
}
__getattr__, __dir__, __all__ = names_of("fsl", _HOME)
