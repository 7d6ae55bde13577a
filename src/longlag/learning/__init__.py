"""How a network learns: recipes, engines, training."""
