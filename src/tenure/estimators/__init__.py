"""The training room behind scikit-learn's interface."""
