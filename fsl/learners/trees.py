"""Boosted trees on what is known of a task: the baseline a data scientist tries first. scikit-learn's, as they are."""

from dataclasses import dataclass

from fsl.learners.regressions import OnStatistics


@dataclass(eq=False)
class TreesOnFeatures(OnStatistics):
    """`OnStatistics` by gradient-boosted histogram trees (Friedman 2001; Ke et al. 2017): squared error, no early stop.

    Finds thresholds and interactions (price matters to the young) where rows are many; with a few hundred ratings it
    learns the accidents of the training people, so keep `max_leaf_nodes` and `n_trees` small there.
    """

    max_leaf_nodes: int = 8
    n_trees: int = 100
    learning_rate: float = 0.05
    min_samples_leaf: int = 40
    item_shrinkage: float = 5.0
    seed: int = 0

    def regressor(self):
        from sklearn.ensemble import HistGradientBoostingRegressor  # takes a second to import

        return HistGradientBoostingRegressor(
            max_leaf_nodes=self.max_leaf_nodes,
            max_iter=self.n_trees,
            learning_rate=self.learning_rate,
            min_samples_leaf=self.min_samples_leaf,
            early_stopping=False,
            random_state=self.seed,
        )
