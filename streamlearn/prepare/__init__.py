"""Raw columns to matrix: one kernel per scikit-learn transformer, composed."""
