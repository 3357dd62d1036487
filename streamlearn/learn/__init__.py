"""How each scikit-learn estimator learns from chunks."""
